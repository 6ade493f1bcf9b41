"""Jobs as their tenant sees them: found, listed, waited for, and called off while nobody has begun."""

import asyncio
from dataclasses import dataclass

from core.clock import Clock
from core.errors import Conflict, JobCancelled, ResourceNotFound
from core.events import EventType
from core.ids import JobId, TenantId, is_uuid
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.rag.jobs.repository import JobRepository, page_of
from server.rag.jobs.schemas import JobPage, JobsQuery, JobView
from stores.audit import AuditLog
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import JobKind, JobRow, JobStatus

_FIRST_LOOK_SECONDS = 0.02
_SLOWEST_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class JobService:
    """One a process."""

    database: Database
    outbox: Outbox
    audit: AuditLog
    clock: Clock
    cursors: Cursors
    stopping: asyncio.Event

    async def job(self, owner: Principal, job_id: str) -> JobView:
        return JobView.of(await self._found(owner, job_id), self.clock.now())

    async def _found(self, owner: Principal, job_id: str) -> JobRow:
        found = None
        if is_uuid(job_id):
            async with self.database.reading() as session:
                found = await JobRepository(session, owner.tenant_id).find(JobId(job_id))
        if found is None:
            raise ResourceNotFound("job", job_id)
        return found

    async def page(self, owner: Principal, query: JobsQuery) -> JobPage:
        scope = {"tenant_id": TenantId(owner.tenant_id), "listing": "jobs"}
        place = self.cursors.place(query, **scope)
        filters = query.model_dump(exclude={"skip", "cursor"})
        found = await self.database.read(page_of(owner.tenant_id, place=place, **filters))
        now, last = self.clock.now(), found.rows[-1] if found.more else None
        return JobPage(
            items=[JobView.of(row, now) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def cancel(self, owner: Principal, job_id: str) -> JobView:
        """Call a job off that nobody has begun; its document is as before, or has failed where it never was indexed."""
        await self._found(owner, job_id)
        async with self.database.transaction() as session:
            jobs = JobRepository(session, owner.tenant_id)
            job = await jobs.locked(JobId(job_id))
            if job is None:
                raise ResourceNotFound("job", job_id)
            if job.kind != JobKind.INGEST:
                raise Conflict("A deletion cannot be called off: the document is gone already.", status=job.status)
            if job.status != JobStatus.QUEUED:
                raise Conflict("Only a job that is queued can be cancelled.", status=job.status)
            now = self.clock.now()
            reason = JobCancelled("The job was cancelled before it began. Reprocess the document to index it.")
            job.status, job.finished_at = JobStatus.CANCELLED, now
            job.error_code, job.error_message = reason.code, reason.message
            if await jobs.call_off_document(job, reason, now):
                payload = {
                    "document_id": job.document_id,
                    "revision": job.revision,
                    "job_id": job.id,
                    "error": {"code": reason.code, "message": reason.message},
                }
                self.outbox.append(session, owner.tenant_id, EventType.RAG_DOCUMENT_FAILED, payload)
            await self.audit.append(
                session,
                owner.tenant_id,
                actor=owner.subject,
                action="job.cancelled",
                resource_type="job",
                resource_id=job.id,
                details={"document_id": job.document_id, "revision": job.revision},
            )
            return JobView.of(job, now)

    async def outcome(self, owner: Principal, job_id: str, *, wait_seconds: float) -> JobView:
        """Wait for the job, but no longer than `wait_seconds` or the server's life; return how far it has come."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        pause = _FIRST_LOOK_SECONDS
        while True:
            job = await self.job(owner, job_id)
            remaining = deadline - loop.time()
            if job.is_over or remaining <= 0 or self.stopping.is_set():
                return job
            await asyncio.sleep(min(pause, remaining))
            pause = min(pause * 1.25, _SLOWEST_LOOK_SECONDS)
