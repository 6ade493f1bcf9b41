"""Write down the numbers of all processes and of what is waiting, not asking the database more than once a second."""

import asyncio
import time

from server.telemetry import metrics
from stores.backlog import Backlog, backlog
from stores.sql.engine import Database

_REMEMBERED_SECONDS = 1.0


class Telemetry:
    """One a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._latest: Backlog | None = None

    async def exposition(self) -> bytes:
        """Return Prometheus' text format, version 0.0.4."""
        waiting = await self._backlog()
        jobs = metrics.Reading(
            name="codexos_jobs",
            describes="Jobs that wait, are worked on or failed.",
            labels=("kind", "status"),
            values={(kind, status): count for (kind, status), count in waiting.jobs.items()},
        )
        outbox = metrics.Reading(
            name="codexos_outbox_depth", describes="Events not yet handed on.", values={(): waiting.outbox}
        )
        return metrics.exposition([jobs, outbox])

    async def _backlog(self) -> Backlog:
        async with self._asking:
            if self._latest is None or time.monotonic() - self._asked_at > _REMEMBERED_SECONDS:
                self._latest = await backlog(self._database)
                self._asked_at = time.monotonic()
            return self._latest
