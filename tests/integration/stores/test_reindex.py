"""What the batch lane asks of the stores: documents posted again, who is at work, what an index should hold."""

from dataclasses import replace
from datetime import timedelta

from core.clock import FrozenClock
from core.ids import DocumentId, JobId, TenantId
from stores.buckets import bucket_of
from stores.documents import Documents
from stores.letterbox import Job, Letterbox
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, JobKind, JobStatus, Lane
from tests.integration.stores.conftest import LEASE, SWEEP_AFTER, add_document


async def change(database: Database, document_id: DocumentId, **values: object) -> None:
    async with database.transaction() as session:
        row = await session.get_one(DocumentRow, document_id)
        for name, value in values.items():
            setattr(row, name, value)


async def indexed(database: Database, tenant_id: TenantId, clock: FrozenClock, *, revision: int = 1) -> DocumentId:
    document_id = await add_document(database, tenant_id, clock, revision=revision)
    await change(
        database,
        document_id,
        status=DocumentStatus.INDEXED,
        indexed_revision=revision,
        bucket=bucket_of(tenant_id),
    )
    return document_id


async def take_all(letterbox: Letterbox, tenant_id: TenantId) -> list[Job]:
    return await letterbox.claim("w", Lane.BATCH, limit=100, bucket=bucket_of(tenant_id))


async def test_reindex_posts_every_indexed_document_once(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """Each indexed document gets one batch job for the revision that answers; a second call adds none."""
    expected = {(await indexed(database, tenant_id, clock, revision=revision), revision) for revision in (1, 4)}
    assert await letterbox.post_reindex(bucket_of(tenant_id)) == 2
    assert await letterbox.post_reindex(bucket_of(tenant_id)) == 0
    jobs = await take_all(letterbox, tenant_id)
    assert {(job.document_id, job.revision) for job in jobs} == expected
    assert {(job.kind, job.lane) for job in jobs} == {(JobKind.INGEST, Lane.BATCH)}


async def test_reindex_leaves_out_what_must_not_be_posted(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """Deleted documents, those never indexed, and other buckets' are not posted."""
    await add_document(database, tenant_id, clock)
    gone = await indexed(database, tenant_id, clock)
    await change(database, gone, status=DocumentStatus.DELETED)
    elsewhere = await indexed(database, tenant_id, clock)
    await change(database, elsewhere, bucket=(bucket_of(tenant_id) + 1) % 16)
    assert await letterbox.post_reindex(bucket_of(tenant_id)) == 0


async def test_failed_document_is_posted_at_the_revision_that_answers(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """A document whose newest revision failed is built again from the one that queries see."""
    document_id = await indexed(database, tenant_id, clock, revision=2)
    await change(database, document_id, status=DocumentStatus.FAILED, revision=3)
    assert await letterbox.post_reindex(bucket_of(tenant_id)) == 1
    [job] = await take_all(letterbox, tenant_id)
    assert job.revision == 2


async def test_owners_at_work_are_those_whose_lease_lasts(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """An owner is at work while a lease of its lasts, and no longer than it has open jobs."""
    for _ in range(2):
        await indexed(database, tenant_id, clock)
    await letterbox.post_reindex(bucket_of(tenant_id))
    assert await letterbox.owners_at_work() == set()
    first = await letterbox.claim("one", Lane.BATCH, limit=1)
    await letterbox.claim("two", Lane.BATCH, limit=1)
    assert await letterbox.owners_at_work() == {"one", "two"}
    async with database.transaction() as session:
        await letterbox.close(session, first[0], JobStatus.SUCCEEDED, lane=Lane.BATCH)
    assert await letterbox.owners_at_work() == {"two"}
    clock.advance(LEASE + timedelta(seconds=1))
    assert await letterbox.owners_at_work() == set()


async def test_many_leases_are_renewed_but_not_those_taken_over(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """Of thousands of jobs renewed together, exactly those still ours are prolonged and told."""
    for _ in range(5):
        await indexed(database, tenant_id, clock)
    await letterbox.post_reindex(bucket_of(tenant_id))
    jobs = await letterbox.claim("one", Lane.BATCH, limit=5)
    # Two are taken over: their fences move on. Thousands more never were ours.
    lost = [replace(job, fence=job.fence - 1) for job in jobs[:2]]
    strangers = [replace(jobs[0], id=JobId(f"stranger-{number}")) for number in range(2_500)]
    clock.advance(LEASE / 2)
    assert await letterbox.renew([*lost, *strangers, *jobs[2:]], {}) == jobs[2:]
    clock.advance(LEASE / 2 + timedelta(seconds=1))
    taken = await letterbox.claim("two", Lane.BATCH, limit=5)
    assert {job.id for job in taken} == {job.id for job in jobs[:2]}


async def test_lane_takes_its_own_work_first(
    database: Database, letterbox: Letterbox, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """A fresh document goes before overdue jobs of the other lane, however many there are."""
    for _ in range(3):
        await indexed(database, tenant_id, clock)
    await letterbox.post_reindex(bucket_of(tenant_id))
    clock.advance(SWEEP_AFTER * 2)
    fresh = await add_document(database, tenant_id, clock)
    async with database.transaction() as session:
        letterbox.post(session, tenant_id=tenant_id, kind=JobKind.INGEST, document_id=fresh, revision=1)
    claimed = await letterbox.claim("stream", Lane.STREAM, limit=2)
    assert [job.lane for job in claimed] == [Lane.STREAM, Lane.BATCH]


async def test_tenants_that_have_or_had_documents_are_listed(
    database: Database, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """Whatever became of the documents: their tables are cared for still."""
    documents = Documents(database, clock)
    gone = await indexed(database, tenant_id, clock)
    await change(database, gone, status=DocumentStatus.DELETED)
    assert tenant_id in await documents.tenants()
