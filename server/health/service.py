"""Ask every part at once, wait for none of them long, and not more often than once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from core.log import get_logger
from server.health.schemas import Part, Readiness, State

log = get_logger()

# Returns how the part is; raising, or taking too long, means that it is down.
Check = Callable[[], Awaitable[State]]

_TIMEOUT_SECONDS = 2.0
_REMEMBERED_SECONDS = 1.0


class HealthService:
    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._latest: Readiness | None = None

    async def readiness(self) -> Readiness:
        """Return the state of all parts, at most a second old. However many ask, one looks."""
        async with self._asking:
            if self._latest is None or time.monotonic() - self._asked_at > _REMEMBERED_SECONDS:
                self._latest = await self._ask()
                self._asked_at = time.monotonic()
            return self._latest

    async def _ask(self) -> Readiness:
        found = await asyncio.gather(*map(_state, self._checks.values()))
        parts = {name: part for name, (part, _) in zip(self._checks, found, strict=True)}
        for name, (part, error) in zip(self._checks, found, strict=True):
            before = self._latest.parts[name].status if self._latest else None
            if part.status != before:  # whoever polls must not fill the log
                log.info("readiness.part_changed", part=name, status=part.status, error=error)
        ready = all(part.status == "ok" for part in parts.values())
        return Readiness(status="ready" if ready else "not_ready", parts=parts)


async def _state(check: Check) -> tuple[Part, str | None]:
    began = time.perf_counter()
    state: State = "down"
    reason = None
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            state = await check()
    except Exception as error:  # whatever it is, the part does not serve
        reason = repr(error)
    return Part(status=state, seconds=round(time.perf_counter() - began, 4)), reason
