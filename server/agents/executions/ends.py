"""Who waits for executions in this process hears when they are over: one look at the table for all of them."""

import asyncio
import contextlib
from collections.abc import Callable, Collection

from core.errors import ServiceUnavailable
from stores.sql.engine import Database, Reader

# A flow that does little is over in some milliseconds; one that takes seconds is asked about less often.
_FIRST_LOOK_SECONDS = 0.01
_SLOWEST_LOOK_SECONDS = 0.1
_SLOWER = 1.15

Over = Callable[[Reader, Collection[str]], set[str]]


class Ends:
    """One a process. `over` reads which of the given executions are."""

    def __init__(self, database: Database, over: Over) -> None:
        self._database = database
        self._over = over
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._pause = _FIRST_LOOK_SECONDS

    async def wait(self, execution_id: str, seconds: float) -> None:
        """Return once the execution is over, or when `seconds` have passed."""
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(execution_id, set()).add(end)
        self._pause = _FIRST_LOOK_SECONDS
        if self._looking is None or self._looking.done() or self._looking.cancelling():
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait([end], timeout=seconds)
        finally:
            waiting = self._waiting.get(execution_id, set())
            waiting.discard(end)
            if not waiting:
                self._waiting.pop(execution_id, None)
            if not self._waiting:
                self._looking.cancel()

    def stop(self) -> None:
        """Let everybody go who waits: this process ends."""
        for waiting in self._waiting.values():
            for end in waiting:
                if not end.done():
                    end.set_result(None)

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * _SLOWER, _SLOWEST_LOOK_SECONDS)
            asked = list(self._waiting)
            over: set[str] = set()
            with contextlib.suppress(ServiceUnavailable):  # the next look may find it
                over = await self._database.read(lambda reader: self._over(reader, asked))  # noqa: B023
            for execution_id in over:
                for end in self._waiting.get(execution_id, ()):
                    if not end.done():
                        end.set_result(None)
