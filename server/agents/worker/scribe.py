"""The scribe: commits what all executions of a process have noted, in one transaction after another."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from core.errors import LeaseLost, ServiceUnavailable
from core.log import get_logger
from server.agents.worker.claimed import Batch
from server.agents.worker.journal import SqlJournal
from server.agents.worker.service import Ledger
from stores.blobs import BlobStore

log = get_logger()

# While nobody waits for a commit, what comes within this goes into one.
_GATHERING_SECONDS = 0.004
_PAUSE_SECONDS = 0.2


class Scribe:
    """One a process. `committed` hears of executions that have new events; `cancel`, of those to be called off."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        blobs: BlobStore,
        committed: Callable[[Sequence[str]], None],
        cancel: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._committed = committed
        self._cancel = cancel
        self._dirty: dict[SqlJournal, None] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()

    def touch(self, journal: SqlJournal) -> None:
        self._dirty[journal] = None
        self._wake.set()
        if journal.is_urgent:
            self._hurry.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            if not self._hurry.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._hurry.wait(), _GATHERING_SECONDS)
            self._wake.clear()
            self._hurry.clear()
            taken = [(journal, batch) for journal in self._dirty if (batch := journal.take()) is not None]
            self._dirty.clear()
            if taken:
                await self._write(taken)

    async def _write(self, taken: list[tuple[SqlJournal, Batch]]) -> None:
        batches = [batch for _, batch in taken]
        while True:
            try:
                await self._put_blobs(batches)
                outcome = await self._ledger.write(batches)
                break
            except (ServiceUnavailable, OSError):  # their leases will tell whether it took too long
                log.warning("agents.journal_waits")
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception as error:
                if len(taken) == 1:
                    log.exception("agents.journal_broke", execution=batches[0].claimed.id)
                    taken[0][0].written(error)
                    return
                for each in taken:  # one that cannot be written must not hold up the others
                    await self._write([each])
                return
        for (journal, batch), written in zip(taken, outcome, strict=True):
            journal.written(LeaseLost("Another worker has this execution.") if written.lost else None)
            if written.cancel_requested and batch.ended is None:
                self._cancel(batch.claimed.id)
        self._committed([batch.claimed.id for batch, each in zip(batches, outcome, strict=True) if not each.lost])

    async def _put_blobs(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.blobs:
                await self._blobs.put_many(batch.claimed.tenant_id, batch.blobs)
