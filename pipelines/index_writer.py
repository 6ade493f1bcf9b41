"""The last step: one Lance commit adds the new revision and retires the old, then one SQL transaction closes the jobs.

Between the two the index may be ahead of SQL, never behind: a crash there is mended by whoever takes the job
next, because ids derive from content and the same commit applied twice is one.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from core.errors import CodexError, IngestFailed, InternalFailure, LeaseLost
from core.events import EventType
from core.ids import TenantId, new_id
from core.log import get_logger
from pipelines.embedding.base import Embedder
from pipelines.index.maintenance import is_untidy, tidy
from pipelines.index.rows import rows_of
from pipelines.ingest import Work, progress_of
from stores.documents import Documents
from stores.lance import ChunkTable, LanceStore
from stores.lance.schema import table_name
from stores.leases import Lease, Leases
from stores.letterbox import Job, Letterbox
from stores.outbox import Outbox
from stores.sql.engine import Database, Session
from stores.sql.models import JobKind, JobStatus, Lane

log = get_logger()

# A Lance commit takes tens of milliseconds; a lease with less than this left is not worth starting on.
_WRITE_TIME = timedelta(seconds=1)

# Queries that are under way read the version they began with; the nightly maintenance prunes further back.
_KEPT_VERSIONS = timedelta(days=1)


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
    embedder: Embedder
    lane: Lane
    max_attempts: int

    async def commit(self, works: Sequence[Work]) -> Outcome:
        """Write every work's result, good or bad, and close its job or put it back."""
        total = Outcome()
        writable = [work for work in works if work.alive or (work.job.kind is JobKind.DELETE and not work.failure)]
        for tenant_id, batch in _by_tenant(writable):
            total += await self._write_or_fail(tenant_id, batch)
        for work in works:
            if work.failure is not None:
                total += await self._fail(work.job, work.failure)
            elif not work.alive and work.job.kind is JobKind.INGEST:  # the document was deleted meanwhile
                total += await self._cancel(work.job)
        return total

    async def tidy(self, tenant_id: TenantId) -> bool:
        """Fold a long index tail in, under the table's lease; whether there was one."""
        table = await self.lance.find_table(tenant_id, self.embedder.space, self.embedder.dimensions)
        if table is None or not await is_untidy(table):
            return False
        async with self._lease(tenant_id):
            return await tidy(table, retain=_KEPT_VERSIONS)

    def _lease(self, tenant_id: TenantId) -> AbstractAsyncContextManager[Lease]:
        return self.leases.hold(f"lance:{table_name(tenant_id, self.embedder.space)}", new_id())

    async def _write_or_fail(self, tenant_id: TenantId, batch: Sequence[Work]) -> Outcome:
        try:
            return await self._write(tenant_id, batch)
        except IngestFailed as failure:
            reason: IngestFailed = failure
        except Exception:
            log.exception("index.write_failed", tenant=tenant_id)
            reason = InternalFailure("Something went wrong on our side while writing the index; it is tried again.")
        total = Outcome()
        for work in batch:
            total += await self._fail(work.job, reason)
        return total

    async def _write(self, tenant_id: TenantId, batch: Sequence[Work]) -> Outcome:
        async with self._lease(tenant_id) as lease:
            table = await self.lance.open_table(tenant_id, self.embedder.space, self.embedder.dimensions)
            ours = {job.id for job in await self.letterbox.renew([work.job for work in batch], {})}
            kept = [work for work in batch if work.job.id in ours]
            self.leases.confirm(lease, _WRITE_TIME)
            await _write_table(table, kept)
        outcome = Outcome(lost=len(batch) - len(kept))
        async with self.database.transaction() as session:
            for work in kept:
                outcome += await self._close_written(session, work)
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
                progress = progress_of("indexed", len(work.elements), chunks)
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


async def _write_table(table: ChunkTable, works: Sequence[Work]) -> None:
    added = [work for work in works if work.job.kind is JobKind.INGEST]
    deleted = [work.job.document_id for work in works if work.job.kind is JobKind.DELETE]
    if added:
        await table.commit(rows_of(added), retire={work.job.document_id: work.job.revision for work in added})
    if deleted:
        await table.delete_documents(deleted)


def _subject(job: Job) -> dict[str, Any]:
    return {"document_id": job.document_id, "revision": job.revision, "job_id": job.id}


def _by_tenant(works: Iterable[Work]) -> list[tuple[TenantId, list[Work]]]:
    groups: dict[TenantId, list[Work]] = {}
    for work in works:
        groups.setdefault(work.job.tenant_id, []).append(work)
    return list(groups.items())
