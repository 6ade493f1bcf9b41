"""What every request meets at the door and its answer on the way out, in the order it needs.

One step of the framework's each way: each of its rounds costs as much as what is done in it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from sanic import Request, Sanic
from sanic.response import BaseHTTPResponse

from server.middleware import request_id, request_log

Finish = Callable[[Request, BaseHTTPResponse], Coroutine[Any, Any, None]]
Tell = Callable[[Request, BaseHTTPResponse], None]


def watch(app: Sanic[Any, Any], *, limits: Finish, tells: list[Tell]) -> None:
    """Let every request of `app` pass. `limits` and `tells` put their headers on every answer."""

    def come_in(request: Request) -> None:
        request_id.begin(request)
        request_log.begin(request)

    async def go_out(request: Request, response: BaseHTTPResponse) -> None:
        await limits(request, response)
        request_id.finish(request, response)
        for tell in tells:
            tell(request, response)
        request_log.finish(request, response)  # the last: what it tells of is what the client is told

    app.register_middleware(come_in, "request")
    app.register_middleware(go_out, "response")
