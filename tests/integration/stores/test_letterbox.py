"""The letterbox keeps its promises on SQLite and on PostgreSQL alike."""

import asyncio
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from core.errors import EmbeddingFailed, LeaseLost
from core.ids import DocumentId, JobId, TenantId
from stores.buckets import bucket_of
from stores.job_keeper import keep
from stores.letterbox import SUSPECT_ATTEMPT, Job, Letterbox
from stores.sql.engine import Database
from stores.sql.models import JobKind, JobRow, JobStatus, Lane
from tests.integration.stores.conftest import LEASE, SWEEP_AFTER, add_document


class Posting:
    """Posts jobs with less to say each time."""

    def __init__(self, database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock) -> None:
        self.database, self.letterbox, self.tenant_id, self.clock = database, letterbox, tenant_id, clock

    async def document(self) -> DocumentId:
        return await add_document(self.database, self.tenant_id, self.clock)

    async def job(self, document_id: DocumentId, *, revision: int = 1, lane: Lane = Lane.STREAM) -> JobId:
        async with self.database.transaction() as session:
            return self.letterbox.post(
                session,
                tenant_id=self.tenant_id,
                kind=JobKind.INGEST,
                document_id=document_id,
                revision=revision,
                lane=lane,
            )

    async def jobs(self, count: int, lane: Lane = Lane.STREAM) -> list[JobId]:
        return [await self.job(await self.document(), lane=lane) for _ in range(count)]

    async def row(self, job_id: JobId) -> JobRow:
        async with self.database.reading() as session:
            row = await session.get(JobRow, job_id)
            assert row is not None
            return row


@pytest.fixture
def posting(database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock) -> Posting:
    return Posting(database, letterbox, tenant_id, clock)


async def close(database: Database, letterbox: Letterbox, job: Job, lane: Lane = Lane.STREAM) -> None:
    async with database.transaction() as session:
        await letterbox.close(session, job, JobStatus.SUCCEEDED, lane=lane)


async def test_job_is_claimed_once_by_many_claimers(posting: Posting, letterbox: Letterbox) -> None:
    """Eight claimers at once share twenty jobs without handing any out twice."""
    posted = await posting.jobs(20)
    batches = await asyncio.gather(*(letterbox.claim(f"w{n}", Lane.STREAM, limit=5) for n in range(8)))
    claimed = [job.id for batch in batches for job in batch]
    for n in range(8):  # SKIP LOCKED may leave some for a second look
        claimed += [job.id for job in await letterbox.claim(f"w{n}", Lane.STREAM, limit=5)]
    assert sorted(claimed) == sorted(posted)


async def test_rolled_back_post_leaves_no_job(database: Database, letterbox: Letterbox, posting: Posting) -> None:
    """A job exists only if the transaction that posted it committed."""
    document_id = await posting.document()
    with pytest.raises(RuntimeError, match="changed my mind"):
        async with database.transaction() as session:
            letterbox.post(
                session, tenant_id=posting.tenant_id, kind=JobKind.INGEST, document_id=document_id, revision=1
            )
            await session.flush()
            raise RuntimeError("changed my mind")
    assert await letterbox.claim("w", Lane.STREAM, limit=5) == []


async def test_jobs_of_one_document_are_claimed_in_order_one_at_a_time(
    posting: Posting, database: Database, letterbox: Letterbox
) -> None:
    """Revision 2 waits until revision 1 is closed, even when it was posted first."""
    document_id = await posting.document()
    second = await posting.job(document_id, revision=2)
    first = await posting.job(document_id, revision=1)
    [job] = await letterbox.claim("w", Lane.STREAM, limit=5)
    assert job.id == first
    assert await letterbox.claim("w", Lane.STREAM, limit=5) == []
    await close(database, letterbox, job)
    assert [job.id for job in await letterbox.claim("w", Lane.STREAM, limit=5)] == [second]


async def test_job_of_a_dead_worker_is_taken_over_and_its_ghost_cannot_close(
    posting: Posting, database: Database, letterbox: Letterbox, clock: FrozenClock
) -> None:
    """After the lease another worker takes the job; the first one's close is refused."""
    await posting.jobs(1)
    [ghost] = await letterbox.claim("dead", Lane.STREAM, limit=1)
    clock.advance(LEASE - timedelta(seconds=1))
    assert await letterbox.claim("alive", Lane.STREAM, limit=1) == []
    clock.advance(timedelta(seconds=1))
    [job] = await letterbox.claim("alive", Lane.STREAM, limit=1)
    assert (job.id, job.fence, job.attempt) == (ghost.id, ghost.fence + 1, 2)
    with pytest.raises(LeaseLost):
        await close(database, letterbox, ghost)
    await close(database, letterbox, job)
    assert (await posting.row(job.id)).status == JobStatus.SUCCEEDED


async def test_renewed_job_stays_with_its_worker(posting: Posting, letterbox: Letterbox, clock: FrozenClock) -> None:
    """A renewal prolongs the lease and writes the progress down."""
    await posting.jobs(1)
    [job] = await letterbox.claim("w", Lane.STREAM, limit=1)
    clock.advance(LEASE - timedelta(seconds=1))
    assert await letterbox.renew([job], {job.id: {"stage": "parsed"}}) == [job]
    clock.advance(LEASE - timedelta(seconds=1))
    assert await letterbox.claim("other", Lane.STREAM, limit=1) == []
    assert (await posting.row(job.id)).progress == {"stage": "parsed"}


async def test_progress_of_a_lost_job_is_not_written(
    posting: Posting, letterbox: Letterbox, clock: FrozenClock
) -> None:
    """Of many jobs renewed at once only those that are still ours are prolonged and told about."""
    await posting.jobs(3)
    lost, *kept = await letterbox.claim("slow", Lane.STREAM, limit=3)
    await letterbox.release(lost)
    said = {job.id: {"stage": "chunked", "chunks": number} for number, job in enumerate([lost, *kept])}
    assert await letterbox.renew([lost, *kept], said) == kept
    assert (await posting.row(lost.id)).progress == {}
    assert [(await posting.row(job.id)).progress for job in kept] == [said[job.id] for job in kept]


async def test_keeper_tells_which_jobs_were_lost(posting: Posting, letterbox: Letterbox, clock: FrozenClock) -> None:
    """A worker that stood still for longer than its lease learns that its job is somebody else's."""
    await posting.jobs(1)
    [job] = await letterbox.claim("slow", Lane.STREAM, limit=1)
    clock.advance(LEASE)
    [_taken] = await letterbox.claim("fast", Lane.STREAM, limit=1)
    async with keep(letterbox, [job], lease=timedelta(milliseconds=30)) as kept:
        async with asyncio.timeout(5):
            while not kept.lost:
                await asyncio.sleep(0.01)
        assert kept.lost == {job.id}
        assert kept.jobs == []


async def test_failed_try_comes_back_later_each_time_after_twice_the_wait(
    posting: Posting, letterbox: Letterbox, clock: FrozenClock
) -> None:
    """Retries wait 1 s, 2 s, 4 s …"""
    [job_id] = await posting.jobs(1)
    for wait in (1, 2, 4):
        [job] = await letterbox.claim("w", Lane.STREAM, limit=1)
        await letterbox.retry_later(job, EmbeddingFailed("The embedder is away."))
        clock.advance(timedelta(seconds=wait) - timedelta(milliseconds=1))
        assert await letterbox.claim("w", Lane.STREAM, limit=1) == []
        clock.advance(timedelta(milliseconds=1))
    row = await posting.row(job_id)
    assert (row.status, row.error_code, row.attempt) == (JobStatus.QUEUED, "EMBEDDING_FAILED", 3)


async def test_released_job_is_free_at_once_and_costs_no_attempt(posting: Posting, letterbox: Letterbox) -> None:
    """A worker that is asked to stop puts its job back as if it had never held it."""
    await posting.jobs(1)
    [job] = await letterbox.claim("w", Lane.STREAM, limit=1)
    await letterbox.release(job)
    [again] = await letterbox.claim("other", Lane.STREAM, limit=1)
    assert (again.id, again.attempt) == (job.id, 1)


async def test_suspect_job_is_handed_out_alone(posting: Posting, letterbox: Letterbox, clock: FrozenClock) -> None:
    """A job that has outlived several workers never shares a batch."""
    await posting.jobs(3)
    for _ in range(SUSPECT_ATTEMPT - 1):
        assert len(await letterbox.claim("dies", Lane.STREAM, limit=5)) == 3
        clock.advance(LEASE)
    assert [len(await letterbox.claim("w", Lane.STREAM, limit=5)) for _ in range(4)] == [1, 1, 1, 0]


async def test_lane_takes_the_other_lanes_work_only_when_overdue(
    posting: Posting, letterbox: Letterbox, clock: FrozenClock
) -> None:
    """The batch lane leaves a fresh stream job alone and sweeps it up after a minute; the bucket count agrees."""
    await posting.jobs(1)
    assert await letterbox.claim("batch", Lane.BATCH, limit=5) == []
    assert await letterbox.buckets_waiting(Lane.BATCH) == {}
    clock.advance(SWEEP_AFTER)
    assert await letterbox.buckets_waiting(Lane.BATCH) == {bucket_of(posting.tenant_id): 1}
    assert len(await letterbox.claim("batch", Lane.BATCH, limit=5, bucket=bucket_of(posting.tenant_id))) == 1


async def test_finished_jobs_are_reported_once(posting: Posting, database: Database, letterbox: Letterbox) -> None:
    """The reporter sees what the stream lane finished until it has marked it."""
    posted = await posting.jobs(2)
    for job in await letterbox.claim("w", Lane.STREAM, limit=2):
        await close(database, letterbox, job)
    finished = await letterbox.finished_unreported(Lane.STREAM, limit=10)
    assert sorted(job.id for job in finished) == sorted(posted)
    await letterbox.mark_reported(finished)
    assert await letterbox.finished_unreported(Lane.STREAM, limit=10) == []
    assert await letterbox.finished_unreported(Lane.BATCH, limit=10) == []
