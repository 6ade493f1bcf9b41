"""A migrated database with one tenant, on every backend this machine has."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from core.ids import DocumentId, TenantId, new_id
from stores.letterbox import Letterbox
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, TenantRow

LEASE = timedelta(seconds=30)
SWEEP_AFTER = timedelta(seconds=60)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def letterbox(database: Database, clock: FrozenClock) -> Letterbox:
    return Letterbox(database, clock, lease=LEASE, sweep_after=SWEEP_AFTER)


@pytest.fixture
async def tenant_id(database: Database, clock: FrozenClock) -> TenantId:
    tenant_id = TenantId(new_id())
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=clock.now()))
    return tenant_id


async def add_document(
    database: Database, tenant_id: TenantId, clock: FrozenClock, *, revision: int = 1, external_id: str | None = None
) -> DocumentId:
    """Insert a queued document and return its id."""
    document_id = DocumentId(new_id())
    async with database.transaction() as session:
        session.add(
            DocumentRow(
                id=document_id,
                tenant_id=tenant_id,
                collection="default",
                external_id=external_id,
                source="a.txt",
                source_type="text",
                user_metadata={},
                status=DocumentStatus.QUEUED,
                revision=revision,
                chunk_count=0,
                bucket=0,
                created_at=clock.now(),
                updated_at=clock.now(),
            )
        )
    return document_id
