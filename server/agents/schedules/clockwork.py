"""Looks what is due, again and again, until told to stop."""

import asyncio
import contextlib
from dataclasses import dataclass

from core.log import get_logger, may_fail
from server.agents.schedules.service import ScheduleService

log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clockwork:
    """May run in any number of processes."""

    schedules: ScheduleService
    poll_seconds: float = 1.0

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with may_fail("schedules.not_decided"):
                await self.schedules.decide_all()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.poll_seconds):
                    await stop.wait()
