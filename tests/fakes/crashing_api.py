"""An API process that dies, as if by kill -9, at one point in the life of an idempotent request.

python -m tests.fakes.crashing_api claimed|written|recorded|committed|answered
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from core.settings import Settings
from server.app.application import create_app
from server.middleware.idempotency import Effects
from stores.idempotency import IdempotencyRecords
from stores.sql.unit_of_work import UnitOfWork

STATUS = 137


def die_before(owner: type, name: str, *, only_if: Callable[..., bool] = lambda *_: True) -> None:
    method = getattr(owner, name)

    async def dying(*given: Any, **named: Any) -> Any:
        if only_if(*given):
            os._exit(STATUS)
        return await method(*given, **named)

    setattr(owner, name, dying)


def die_after(owner: type, name: str, *, only_if: Callable[..., bool] = lambda *_: True) -> None:
    method = getattr(owner, name)

    async def dying(*given: Any, **named: Any) -> Any:
        result = await method(*given, **named)
        if only_if(*given):
            os._exit(STATUS)
        return result

    setattr(owner, name, dying)


def _begun(work: UnitOfWork) -> bool:
    return work.has_begun


POINTS: dict[str, Callable[[], None]] = {
    "claimed": lambda: die_after(IdempotencyRecords, "claim"),
    "written": lambda: die_before(IdempotencyRecords, "finish"),
    "recorded": lambda: die_before(UnitOfWork, "commit", only_if=_begun),
    "committed": lambda: die_after(UnitOfWork, "commit", only_if=_begun),
    "answered": lambda: die_after(Effects, "run"),
}


if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    settings = Settings()
    create_app(settings).run(host="127.0.0.1", port=settings.http_port, single_process=True)
