"""What queries may see moves with the job that indexed it, and with nothing else."""

from core.clock import FrozenClock
from core.errors import DocumentUnreadable
from core.ids import DocumentId, JobId, TenantId, new_id
from stores.documents import Documents
from stores.letterbox import Job
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, JobKind, Lane
from tests.integration.stores.conftest import add_document


def job_for(tenant_id: TenantId, document_id: DocumentId, revision: int, clock: FrozenClock) -> Job:
    return Job(
        id=JobId(new_id()),
        tenant_id=tenant_id,
        kind=JobKind.INGEST,
        document_id=document_id,
        revision=revision,
        bucket=0,
        lane=Lane.STREAM,
        attempt=1,
        fence=1,
        created_at=clock.now(),
    )


async def test_older_revision_answers_while_a_newer_one_fails(
    database: Database, tenant_id: TenantId, clock: FrozenClock
) -> None:
    """Revision 1 stays visible when revision 2 cannot be read; the document says why it failed."""
    documents = Documents(database, clock)
    document_id = await add_document(database, tenant_id, clock, revision=2)
    async with database.transaction() as session:
        assert await documents.indexed(session, job_for(tenant_id, document_id, 1, clock), chunk_count=3)
    async with database.transaction() as session:
        failure = DocumentUnreadable("It is cut off.")
        assert await documents.failed(session, job_for(tenant_id, document_id, 2, clock), failure)
    async with database.reading() as session:
        row = await session.get_one(DocumentRow, document_id)
        assert row.indexed_revision == 1
        assert (row.status, row.error_code) == (DocumentStatus.FAILED, "DOCUMENT_UNREADABLE")


async def test_indexed_revision_never_goes_back(database: Database, tenant_id: TenantId, clock: FrozenClock) -> None:
    """A late worker with revision 1 cannot undo revision 2."""
    documents = Documents(database, clock)
    document_id = await add_document(database, tenant_id, clock, revision=2)
    async with database.transaction() as session:
        assert await documents.indexed(session, job_for(tenant_id, document_id, 2, clock), chunk_count=1)
    async with database.transaction() as session:
        assert not await documents.indexed(session, job_for(tenant_id, document_id, 1, clock), chunk_count=9)
    async with database.reading() as session:
        assert (await session.get_one(DocumentRow, document_id)).indexed_revision == 2
