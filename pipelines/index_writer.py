"""The last step: one Lance commit adds the new revision and retires the old, then one SQL transaction closes the jobs.

Between the two the index may be ahead of SQL, never behind: a crash there is mended by whoever takes the job
next, because ids derive from content and the same commit applied twice is one.
"""

from collections.abc import Awaitable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from core.errors import CodexError, IngestFailed, InternalFailure, LeaseLost
from core.events import EventType
from core.ids import DocumentId, GenerationId, TenantId, new_id
from core.log import get_logger
from pipelines.index.indexes import Indexes
from pipelines.index.maintenance import is_untidy, tidy
from pipelines.index.rows import rows_of
from pipelines.ingest import Work, progress_of
from stores.documents import Documents
from stores.generations import Generation, Holding
from stores.lance import LanceStore
from stores.lance.schema import table_name
from stores.leases import Lease, Leases
from stores.letterbox import Job, Letterbox
from stores.outbox import Outbox
from stores.sql.engine import Database, Session
from stores.sql.models import JobKind, JobStatus, Lane

log = get_logger()

# A Lance commit takes tens of milliseconds; a lease with less than this left is not worth starting on.
WRITE_TIME = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a batch. `put_back` will be tried again; `lost` belongs to another worker now."""

    indexed: int = 0
    deleted: int = 0
    failed: int = 0
    cancelled: int = 0
    put_back: int = 0
    lost: int = 0
    chunks: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        return Outcome(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexWriter:
    """Writes finished work down. Made once a process; `lane` says who finished it."""

    database: Database
    letterbox: Letterbox
    documents: Documents
    outbox: Outbox
    leases: Leases
    lance: LanceStore
    indexes: Indexes
    lane: Lane
    max_attempts: int
    retain: timedelta = timedelta(days=1)
    """How long every version of a table can be read."""

    async def commit(self, works: Sequence[Work]) -> Outcome:
        """Write every work's result, good or bad, and close its job or put it back."""
        total = Outcome()
        for generation, batch in _by_generation(works):
            total += await self._or_fail(batch, self._write(generation, batch))
        for tenant_id, batch in _deletions(works):
            total += await self._or_fail(batch, self._erase(tenant_id, batch))
        for work in works:
            if work.failure is not None:
                total += await self._fail(work.job, work.failure)
            elif not work.alive and work.job.kind is JobKind.INGEST:  # the document was deleted meanwhile
                total += await self._cancel(work.job)
        return total

    async def tidy(self, tenant_id: TenantId) -> bool:
        """Fold the long index tails of a tenant's tables in, under their leases; whether there was one."""
        found = False
        for generation in await self.indexes.generations.of(tenant_id):
            table = await self.lance.find_table(tenant_id, generation.table_space, generation.dimensions)
            if table is not None and await is_untidy(table):
                async with self.lease(generation):
                    found |= await tidy(table, retain=self.retain)
        return found

    def lease(self, generation: Generation) -> AbstractAsyncContextManager[Lease]:
        """Hold the generation's table: one writer at a time."""
        return self.leases.hold(f"lance:{table_name(generation.tenant_id, generation.table_space)}", new_id())

    async def _or_fail(self, batch: Sequence[Work], writing: Awaitable[Outcome]) -> Outcome:
        try:
            return await writing
        except IngestFailed as failure:
            reason: IngestFailed = failure
        except Exception:
            log.exception("index.write_failed", tenant=batch[0].job.tenant_id)
            reason = InternalFailure("Something went wrong on our side while writing the index; it is tried again.")
        total = Outcome()
        for work in batch:
            total += await self._fail(work.job, reason)
        return total

    async def _still_ours(self, batch: Sequence[Work], lease: Lease) -> list[Work]:
        ours = {job.id for job in await self.letterbox.renew([work.job for work in batch], {})}
        self.leases.confirm(lease, WRITE_TIME)
        return [work for work in batch if work.job.id in ours]

    async def _write(self, generation: Generation, batch: Sequence[Work]) -> Outcome:
        async with self.lease(generation) as lease:
            # Asked under the lease: whoever retires the generation takes it to drop the table, after saying so.
            # A promotion holds it while it moves the pointer: what is indexed is so in the one that answers.
            active = await self.indexes.generations.active(generation.tenant_id)
            if active is None or active.id != generation.id:
                return await self._put_back(batch)
            table = await self.lance.open_table(generation.tenant_id, generation.table_space, generation.dimensions)
            kept = await self._still_ours(batch, lease)
            if kept:
                await table.commit(rows_of(kept), retire={work.job.document_id: work.job.revision for work in kept})
            noted = await self._note(generation, kept)
            if noted is None:
                noted = await self._put_back(kept)
            return Outcome(lost=len(batch) - len(kept)) + noted

    async def _note(self, generation: Generation, written: Sequence[Work]) -> Outcome | None:
        """Say of documents that they are indexed, if `generation` still answers; None if it does not."""
        outcome, held = Outcome(), []
        async with self.database.transaction() as session:
            # Held to the end of this transaction: whoever moves the pointer counts what was noted before, and nothing
            # is noted after. The lease spares most of the work that would be in vain; it does not decide.
            if not await self.indexes.generations.still_answers(session, generation):
                return None
            for work in written:
                closed = await self._close_written(session, work)
                outcome += closed
                if closed.indexed:
                    held.append(_holding(work))
            await self.indexes.generations.hold(session, generation.id, held)
        return outcome

    async def _put_back(self, batch: Sequence[Work]) -> Outcome:
        # Cut and embedded for an index that answers no more: done again for the one that does, at no attempt's cost.
        for work in batch:
            await self.letterbox.release(work.job)
        return Outcome(put_back=len(batch))

    async def _erase(self, tenant_id: TenantId, batch: Sequence[Work]) -> Outcome:
        """Delete documents from every table of their tenant, so that the old index cannot bring them back either."""
        kept = list(batch)
        await self.indexes.of(tenant_id)
        for generation in await self.indexes.generations.of(tenant_id):
            async with self.lease(generation) as lease:
                table = await self.lance.find_table(tenant_id, generation.table_space, generation.dimensions)
                kept = await self._still_ours(kept, lease)
                if table is not None:
                    await table.delete_documents([work.job.document_id for work in kept])
        outcome = Outcome(lost=len(batch) - len(kept))
        async with self.database.transaction() as session:
            for work in kept:
                outcome += await self._close_written(session, work)
            await self.indexes.generations.let_go(session, [work.job.document_id for work in kept])
        return outcome

    async def _close_written(self, session: Session, work: Work) -> Outcome:
        job, chunks = work.job, len(work.passages)
        try:
            async with session.begin_nested():
                if job.kind is JobKind.DELETE:
                    await self._close(session, job, JobStatus.SUCCEEDED)
                    return Outcome(deleted=1)
                if not await self.documents.indexed(session, job, chunk_count=chunks):
                    await self._close(session, job, JobStatus.CANCELLED)
                    return Outcome(cancelled=1)
                progress = {**progress_of("indexed", len(work.elements), chunks), **(work.expanded or {})}
                await self._close(session, job, JobStatus.SUCCEEDED, progress=progress)
                payload = {**_subject(job), "chunks": chunks}
                self.outbox.append(session, job.tenant_id, EventType.RAG_DOCUMENT_INDEXED, payload)
                return Outcome(indexed=1, chunks=chunks)
        except LeaseLost:  # whoever has it now will close it
            return Outcome(lost=1)

    async def _fail(self, job: Job, failure: CodexError) -> Outcome:
        if isinstance(failure, IngestFailed) and failure.retryable and job.attempt < self.max_attempts:
            await self.letterbox.retry_later(job, failure)
            return Outcome(put_back=1)
        try:
            async with self.database.transaction() as session:
                if await self.documents.failed(session, job, failure):
                    payload = {**_subject(job), "error": {"code": failure.code, "message": failure.message}}
                    self.outbox.append(session, job.tenant_id, EventType.RAG_DOCUMENT_FAILED, payload)
                await self._close(session, job, JobStatus.FAILED, failure=failure)
        except LeaseLost:
            return Outcome(lost=1)
        return Outcome(failed=1)

    async def _cancel(self, job: Job) -> Outcome:
        try:
            async with self.database.transaction() as session:
                await self._close(session, job, JobStatus.CANCELLED)
        except LeaseLost:
            return Outcome(lost=1)
        return Outcome(cancelled=1)

    async def _close(
        self,
        session: Session,
        job: Job,
        status: JobStatus,
        *,
        progress: dict[str, Any] | None = None,
        failure: CodexError | None = None,
    ) -> None:
        await self.letterbox.close(session, job, status, lane=self.lane, progress=progress, failure=failure)


def _holding(work: Work) -> Holding:
    return Holding(
        document_id=DocumentId(work.job.document_id), revision=work.job.revision, chunk_count=len(work.passages)
    )


def _subject(job: Job) -> dict[str, Any]:
    return {"document_id": job.document_id, "revision": job.revision, "job_id": job.id}


def _by_generation(works: Iterable[Work]) -> list[tuple[Generation, list[Work]]]:
    groups: dict[GenerationId, tuple[Generation, list[Work]]] = {}
    for work in works:
        if work.alive and work.generation is not None:
            groups.setdefault(work.generation.id, (work.generation, []))[1].append(work)
    return list(groups.values())


def _deletions(works: Iterable[Work]) -> list[tuple[TenantId, list[Work]]]:
    groups: dict[TenantId, list[Work]] = {}
    for work in works:
        if work.job.kind is JobKind.DELETE and work.failure is None:
            groups.setdefault(work.job.tenant_id, []).append(work)
    return list(groups.items())
