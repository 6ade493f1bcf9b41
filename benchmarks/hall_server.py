"""One worker with one step of the hall left out, or a bare Sanic route, for benchmarks.hall.

python -m benchmarks.hall_server PORT bare|all|<step>
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, json

from core.settings import Settings
from server.app.application import create_app
from server.middleware import request_id, request_log
from server.middleware.authenticate import Authenticator
from server.middleware.framing import StrictProtocol
from server.middleware.rate_limit import RateLimit
from server.rag.documents.service import DocumentService


def _nothing(*_: Any) -> None:
    return None


async def _nothing_async(*_: Any) -> None:
    return None


def _remembered(owner: type, name: str) -> None:
    """Answer every call like the first one."""
    method = getattr(owner, name)
    kept: list[Any] = []

    async def first_answer(*given: Any, **named: Any) -> Any:
        if not kept:
            kept.append(await method(*given, **named))
        return kept[0]

    setattr(owner, name, first_answer)


def _without(owner: object, names: tuple[str, ...], nothing: Callable[..., Any]) -> Callable[[], None]:
    def leave_out() -> None:
        for name in names:
            setattr(owner, name, nothing)

    return leave_out


STEPS: dict[str, Callable[[], None]] = {
    "all": _nothing,
    "request id": _without(request_id, ("begin", "finish"), _nothing),
    "authentication": lambda: _remembered(Authenticator, "__call__"),
    "rate limit and its headers": _without(RateLimit, ("count", "finish"), _nothing_async),
    "log line and metrics": _without(request_log, ("begin", "finish"), _nothing),
    "SQL": lambda: _remembered(DocumentService, "page"),
}


async def _bare(_request: Request, path: str) -> HTTPResponse:
    return json({"status": "ok"})


def main(port: int, step: str) -> None:
    if step == "bare":
        app: Any = Sanic("bare", configure_logging=False)
        app.add_route(_bare, "/<path:path>", methods=["GET"])
        app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False)
        return
    STEPS[step]()
    app = create_app(Settings())
    protocol = StrictProtocol
    app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False, protocol=protocol)


if __name__ == "__main__":
    os.environ.setdefault("CODEXOS_EMBEDDER", "hashed")
    main(int(sys.argv[1]), sys.argv[2])
