"""The scribe: commits what all executions of a process have noted, in one transaction after another."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Sequence

from core.clock import Clock
from core.errors import LeaseLost, ServiceUnavailable
from core.events import EventType
from core.log import get_logger
from server.agents.flow.definition import Json
from server.agents.worker import repository
from server.agents.worker.claimed import Batch, Written
from server.agents.worker.journal import SqlJournal
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.sql.engine import Database, Writer

log = get_logger()

# While nobody waits for a commit, what comes within this goes into one.
_GATHERING_SECONDS = 0.004
_PAUSE_SECONDS = 0.2
_UNTELLABLE = re.compile("[\x00\ud800-\udfff]")
_TOLD = {
    "completed": EventType.AGENT_EXECUTION_COMPLETED,
    "failed": EventType.AGENT_EXECUTION_FAILED,
    "expired": EventType.AGENT_EXECUTION_FAILED,
    "budget_exhausted": EventType.AGENT_EXECUTION_FAILED,
}


class Scribe:
    """One a process. `committed` hears of executions that have new events; `cancel`, of those to be called off."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: BlobStore,
        outbox: Outbox,
        clock: Clock,
        committed: Callable[[Sequence[str]], None],
        cancel: Callable[[str], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._outbox = outbox
        self._clock = clock
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
                outcome = await self._database.write(lambda writer: self._all(writer, batches))
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

    def _all(self, writer: Writer, batches: Sequence[Batch]) -> list[Written]:
        return repository.write(writer, batches, self._clock.now(), self._tell)

    async def _put_blobs(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.blobs:
                await self._blobs.put_many(batch.claimed.tenant_id, batch.blobs)

    def _tell(self, writer: Writer, batch: Batch) -> None:
        claimed = batch.claimed
        about = {"execution_id": claimed.id, "flow_id": claimed.flow_id}
        if batch.started:
            told = about | {"status": "running"}
            self._outbox.append(writer, claimed.tenant_id, EventType.AGENT_EXECUTION_STARTED, told, subject=claimed.id)
        if batch.ended is not None and batch.ended.state in _TOLD:
            told = about | {name: _tellable(value) for name, value in (batch.ended.told or {}).items()}
            self._outbox.append(writer, claimed.tenant_id, _TOLD[batch.ended.state], told, subject=claimed.id)


def _tellable(value: Json) -> Json:
    """Return a result as every receiver can read it: PostgreSQL keeps no NUL in JSON, and UTF-8 has no lone halves."""
    if isinstance(value, str):
        return _UNTELLABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_tellable(each) for each in value]
    if isinstance(value, dict):
        return {_UNTELLABLE.sub("\ufffd", name): _tellable(each) for name, each in value.items()}
    return value
