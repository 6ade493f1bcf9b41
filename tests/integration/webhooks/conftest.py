"""A database with one tenant."""

from collections.abc import AsyncIterator

import pytest

from core.ids import TenantId
from stores.sql.engine import Database
from tests.factories.webhooks import add_tenant


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
async def tenant_id(database: Database) -> TenantId:
    return await add_tenant(database)
