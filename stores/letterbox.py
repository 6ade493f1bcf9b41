"""Work that was promised: posted in the transaction that promised it, taken under a lease, closed exactly once.

Jobs of one document are worked on one at a time and in order: only the oldest open one can be claimed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, func, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from core.clock import Clock
from core.errors import CodexError, LeaseLost
from core.ids import DocumentId, JobId, TenantId, new_id
from stores.buckets import bucket_of
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, JobKind, JobRow, JobStatus, Lane

OPEN = (JobStatus.QUEUED, JobStatus.PROCESSING)
# From this attempt on a job is taken alone: if it is what kills its worker, it takes nobody with it.
SUSPECT_ATTEMPT = 4
_RETRY_BASE = timedelta(seconds=1)
_RETRY_CAP = timedelta(minutes=5)
# Re-indexing posts in transactions of this many, so that other writers get their turn between them.
_POSTED_AT_ONCE = 500
# Jobs named in one statement, two parameters each; far below what any backend takes.
_RENEWED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A claimed job. `fence` must be shown when it is closed."""

    id: JobId
    tenant_id: TenantId
    kind: JobKind
    document_id: DocumentId
    revision: int
    bucket: int
    lane: Lane
    attempt: int
    fence: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    id: JobId
    tenant_id: TenantId
    kind: JobKind
    bucket: int
    status: JobStatus
    progress: Mapping[str, Any]
    seconds: float


def _job(row: JobRow) -> Job:
    return Job(
        id=JobId(row.id),
        tenant_id=TenantId(row.tenant_id),
        kind=JobKind(row.kind),
        document_id=DocumentId(row.document_id),
        revision=row.revision,
        bucket=row.bucket,
        lane=Lane(row.lane),
        attempt=row.attempt,
        fence=row.fence,
        created_at=row.created_at,
    )


def _swept_by(lane: Lane) -> ColumnElement[bool]:
    # Whatever waits for strangers stays out of the lane that must not wait.
    return JobRow.lane != Lane.FETCH if lane is Lane.STREAM else true()


def _first_of_its_document() -> ColumnElement[bool]:
    earlier = aliased(JobRow)
    return ~exists(
        select(earlier.id).where(
            earlier.document_id == JobRow.document_id,
            earlier.status.in_(OPEN),
            or_(
                earlier.revision < JobRow.revision,
                and_(earlier.revision == JobRow.revision, earlier.id < JobRow.id),
            ),
        )
    )


def _indexed_without_job(bucket: int, after: str) -> Select[str, str, int | None]:
    open_job = exists(select(JobRow.id).where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(OPEN)))
    return (
        select(DocumentRow.id, DocumentRow.tenant_id, DocumentRow.indexed_revision)
        .where(
            DocumentRow.bucket == bucket,
            DocumentRow.status != DocumentStatus.DELETED,
            DocumentRow.indexed_revision.is_not(None),
            DocumentRow.id > after,
            ~open_job,
        )
        .order_by(DocumentRow.id)
        .limit(_POSTED_AT_ONCE)
    )


class Letterbox:
    """Everything about jobs that is the same for both lanes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lease: timedelta,
        sweep_after: timedelta,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lease = lease
        self._sweep_after = sweep_after

    def post(
        self,
        session: AsyncSession,
        *,
        tenant_id: TenantId,
        kind: JobKind,
        document_id: DocumentId,
        revision: int,
        lane: Lane = Lane.STREAM,
    ) -> JobId:
        """Add a job to `session`'s transaction."""
        now = self._clock.now()
        job_id = JobId(new_id())
        session.add(
            JobRow(
                id=job_id,
                tenant_id=tenant_id,
                kind=kind,
                document_id=document_id,
                revision=revision,
                bucket=bucket_of(tenant_id),
                lane=lane,
                status=JobStatus.QUEUED,
                available_at=now,
                attempt=0,
                fence=0,
                progress={},
                created_at=now,
            )
        )
        return job_id

    async def post_reindex(self, bucket: int) -> int:
        """Post a batch job for every living, indexed document of `bucket` that has none open; return how many.

        The job is about the revision that answers now, which goes on answering until it is replaced by itself.
        """
        posted, after = 0, ""
        while True:
            async with self._database.transaction() as session:
                found = (await session.execute(_indexed_without_job(bucket, after))).all()
                for document_id, tenant_id, revision in found:
                    self.post(
                        session,
                        tenant_id=TenantId(tenant_id),
                        kind=JobKind.INGEST,
                        document_id=DocumentId(document_id),
                        revision=revision or 0,
                        lane=Lane.BATCH,
                    )
            posted += len(found)
            if len(found) < _POSTED_AT_ONCE:
                return posted
            after = found[-1][0]

    def _claimable(self, lane: Lane, now: datetime) -> ColumnElement[bool]:
        # A lane takes its own work at once, and the other's when that has been waiting for too long.
        return and_(
            JobRow.status.in_(OPEN),
            JobRow.available_at <= now,
            or_(JobRow.lane == lane, and_(_swept_by(lane), JobRow.available_at <= now - self._sweep_after)),
            _first_of_its_document(),
        )

    async def claim(self, owner: str, lane: Lane, *, limit: int, bucket: int | None = None) -> list[Job]:
        """Take up to `limit` jobs under a lease, the lane's own and longest waiting first, at most one a document.

        Jobs that keep coming back are handed out one at a time.
        """
        now = self._clock.now()
        wanted = self._claimable(lane, now)
        if bucket is not None:
            wanted = and_(wanted, JobRow.bucket == bucket)
        # Its own work first: thousands of overdue re-index jobs must not keep a fresh document waiting.
        query = select(JobRow).where(wanted).order_by(JobRow.lane != lane, JobRow.available_at, JobRow.id).limit(limit)
        # A look without the write lock first: most of the time there is nothing, and SQLite has one writer.
        async with self._database.reading() as session:
            if await session.scalar(select(JobRow.id).where(wanted).limit(1)) is None:
                return []
        async with self._database.transaction() as session:
            rows = list(await session.scalars(query.with_for_update(skip_locked=True, of=JobRow)))
            if any(row.attempt + 1 >= SUSPECT_ATTEMPT for row in rows):
                rows = next(([row] for row in rows if row.attempt + 1 >= SUSPECT_ATTEMPT), rows)
            for row in rows:
                row.status = JobStatus.PROCESSING
                row.available_at = now + self._lease
                row.attempt += 1
                row.fence += 1
                row.owner = owner
                row.started_at = row.started_at or now
            return [_job(row) for row in rows]

    async def renew(self, jobs: Sequence[Job], progress: Mapping[JobId, Mapping[str, Any]]) -> list[Job]:
        """Prolong the leases and note progress; return the jobs that are still ours."""
        ours: set[str] = set()
        async with self._database.transaction() as session:
            for first in range(0, len(jobs), _RENEWED_AT_ONCE):
                ours |= await self._prolong(session, jobs[first : first + _RENEWED_AT_ONCE])
            kept = [job for job in jobs if job.id in ours]
            said = [{"of": job.id, "said": dict(progress[job.id])} for job in kept if job.id in progress]
            if said:  # those just prolonged are ours until the transaction ends
                jobs_table = JobRow.__table__.c
                noting = update(JobRow).where(jobs_table.id == bindparam("of")).values(progress=bindparam("said"))
                await (await session.connection()).execute(noting, said)
        return kept

    async def _prolong(self, session: AsyncSession, jobs: Sequence[Job]) -> set[str]:
        # One statement for all: a batch run holds thousands of leases, and SQLite has one writer.
        changed = await session.execute(
            update(JobRow)
            .where(
                tuple_(JobRow.id, JobRow.fence).in_([(job.id, job.fence) for job in jobs]),
                JobRow.status == JobStatus.PROCESSING,
            )
            .values(available_at=self._clock.now() + self._lease)
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
        return set(changed.scalars())

    @asynccontextmanager
    async def fenced(self, job: Job) -> AsyncIterator[None]:
        """Commit what this block writes, as one, if `job` is still ours. Raises LeaseLost.

        Nobody can take the job over between the question and the commit.
        """
        async with self._database.unit_of_work() as work:
            if not await self.renew([job], {}):
                raise LeaseLost(f"Job {job.id} was taken over by another worker.")
            yield
            await work.commit()

    async def close(
        self,
        session: AsyncSession,
        job: Job,
        status: JobStatus,
        *,
        lane: Lane,
        progress: Mapping[str, Any] | None = None,
        failure: CodexError | None = None,
    ) -> None:
        """Close `job` in `session`'s transaction, together with whatever its result changes. Raises LeaseLost."""
        values: dict[str, Any] = {
            "status": status,
            "finished_at": self._clock.now(),
            "finished_by": lane,
            "owner": None,
            "error_code": failure.code if failure else None,
            "error_message": failure.message if failure else None,
        }
        if progress is not None:
            values["progress"] = dict(progress)
        if not await self._update(session, job, values):
            raise LeaseLost(f"Job {job.id} was taken over by another worker.")

    async def retry_later(self, job: Job, failure: CodexError) -> None:
        """Put `job` back, to be taken again after a delay that doubles with each attempt."""
        delay = min(_RETRY_BASE * 2 ** min(job.attempt - 1, 20), _RETRY_CAP)
        await self._put_back(job, available_at=self._clock.now() + delay, failure=failure)

    async def release(self, job: Job) -> None:
        """Put `job` back untouched, to be taken again at once: what a worker does when it is asked to stop."""
        await self._put_back(job, available_at=self._clock.now(), failure=None)

    async def _put_back(self, job: Job, *, available_at: datetime, failure: CodexError | None) -> None:
        values: dict[str, Any] = {
            "status": JobStatus.QUEUED,
            "available_at": available_at,
            "owner": None,
        }
        if failure is not None:
            values |= {"error_code": failure.code, "error_message": failure.message}
        else:
            values |= {"attempt": job.attempt - 1}
        async with self._database.transaction() as session:
            await self._update(session, job, values)

    async def _update(self, session: AsyncSession, job: Job, values: Mapping[str, Any]) -> bool:
        changed = await session.execute(
            update(JobRow)
            .where(
                JobRow.id == job.id,
                JobRow.fence == job.fence,
                JobRow.status == JobStatus.PROCESSING,
            )
            .values(**values)
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
        return changed.first() is not None

    async def cancel_queued(self, session: AsyncSession, tenant_id: TenantId, *document_ids: DocumentId) -> None:
        """Cancel the jobs of documents that nobody has begun."""
        for first in range(0, len(document_ids), _RENEWED_AT_ONCE):
            await session.execute(
                update(JobRow)
                .where(
                    JobRow.tenant_id == tenant_id,
                    JobRow.document_id.in_(document_ids[first : first + _RENEWED_AT_ONCE]),
                    JobRow.status == JobStatus.QUEUED,
                )
                .values(status=JobStatus.CANCELLED, finished_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )

    async def buckets_waiting(self, lane: Lane) -> dict[int, int]:
        """Return how many jobs each bucket has that `lane` could take now; buckets with none are left out."""
        query = (
            select(JobRow.bucket, func.count()).where(self._claimable(lane, self._clock.now())).group_by(JobRow.bucket)
        )
        async with self._database.reading() as session:
            return {row[0]: row[1] for row in await session.execute(query)}

    async def owners_at_work(self) -> set[str]:
        """Return the owners of jobs whose lease has not run out."""
        query = select(JobRow.owner).where(
            JobRow.status == JobStatus.PROCESSING, JobRow.available_at > self._clock.now(), JobRow.owner.is_not(None)
        )
        async with self._database.reading() as session:
            return {owner for owner in await session.scalars(query.distinct()) if owner is not None}

    async def open_jobs(self) -> int:
        """Return how many jobs are waiting or in work."""
        async with self._database.reading() as session:
            return await session.scalar(select(func.count(JobRow.id)).where(JobRow.status.in_(OPEN))) or 0

    async def finished_unreported(self, lane: Lane, *, limit: int) -> list[FinishedJob]:
        """Return jobs that `lane` finished and nobody has reported yet, oldest first."""
        query = (
            select(JobRow)
            .where(JobRow.finished_by == lane, JobRow.reported_at.is_(None))
            .order_by(JobRow.finished_at)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [_finished(row) for row in await session.scalars(query)]

    async def mark_reported(self, jobs: Sequence[FinishedJob]) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                update(JobRow)
                .where(JobRow.id.in_([job.id for job in jobs]))
                .values(reported_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )


def _finished(row: JobRow) -> FinishedJob:
    began = row.started_at or row.created_at
    return FinishedJob(
        id=JobId(row.id),
        tenant_id=TenantId(row.tenant_id),
        kind=JobKind(row.kind),
        bucket=row.bucket,
        status=JobStatus(row.status),
        progress=row.progress,
        seconds=((row.finished_at or began) - began).total_seconds(),
    )
