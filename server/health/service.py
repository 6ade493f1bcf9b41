"""Ask every part at once, wait for none of them long, and not more often than once a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from core.clock import Clock, SystemClock
from core.log import get_logger
from server.health.schemas import Component, Condition, Part, Readiness, State, StatusPage

log = get_logger()

# Returns how the part is; raising, or taking too long, means that it is down.
Check = Callable[[], Awaitable[State]]

_CONDITIONS: Mapping[State, Condition] = {"ok": "operational", "starting": "degraded", "down": "down"}
# What customers know the parts as. Which products they are is nobody's business.
_SHOWN_AS = {
    "sql": "database",
    "redis": "messaging",
    "lance": "search",
    "embedder": "embedding",
    "worker": "indexing",
    "dagster": "batch",
}
_VITAL = frozenset({"sql"})
_TIMEOUT_SECONDS = 2.0
_REMEMBERED_SECONDS = 1.0


class HealthService:
    def __init__(self, checks: Mapping[str, Check], clock: Clock | None = None) -> None:
        self._checks = checks
        self._clock = clock or SystemClock()
        self._since: dict[str, datetime] = {}
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

    async def status_page(self) -> StatusPage:
        """Return what a status page shows: names of the service's own, and nothing of how a part fails."""
        parts = (await self.readiness()).parts
        conditions = [_CONDITIONS[part.status] for part in parts.values()]
        vital = [_CONDITIONS[part.status] for name, part in parts.items() if name in _VITAL]
        components = [
            Component(
                name=_SHOWN_AS.get(name, name),
                status=_CONDITIONS[part.status],
                since=self._since.get(name),
                latency_ms=round(part.seconds * 1000, 1),
            )
            for name, part in parts.items()
        ]
        whole: Condition = "operational" if set(conditions) == {"operational"} else "degraded"
        return StatusPage(status="down" if "down" in vital else whole, components=components)

    async def _ask(self) -> Readiness:
        found = await asyncio.gather(*map(_state, self._checks.values()))
        parts = {name: part for name, (part, _) in zip(self._checks, found, strict=True)}
        for name, (part, error) in zip(self._checks, found, strict=True):
            before = self._latest.parts[name].status if self._latest else None
            if part.status != before:  # whoever polls must not fill the log
                self._since[name] = self._clock.now()
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
