"""Keys: what makes one stop working, how soon, and the one that a development installation has."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from core.clock import FrozenClock
from core.errors import AuthenticationFailed
from core.ids import TenantId
from core.tokens import looks_like_api_key
from server.auth.api_keys.service import ApiKeys, create_key, create_tenant, ensure_development_key
from server.auth.authentication import Authentication
from server.auth.principal import Scope
from server.auth.tenants.service import Memberships
from stores.sql.engine import Database
from stores.sql.models import ApiKeyRow, TenantRow
from tests.factories.tokens import access_tokens


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def authentication(database: Database, clock: FrozenClock) -> Authentication:
    return Authentication(ApiKeys(database, clock), Memberships(database, clock), access_tokens(database, clock))


async def a_key(database: Database, clock: FrozenClock) -> tuple[TenantId, str]:
    tenant_id = await create_tenant(database, clock, "test")
    key = await create_key(database, clock, tenant_id, name="test", mode="live", scopes=[Scope.RAG_READ])
    return tenant_id, key


async def test_a_key_speaks_for_its_tenant_with_its_scopes(database: Database, clock: FrozenClock) -> None:
    """And the key itself is nowhere in the database."""
    tenant_id, key = await a_key(database, clock)
    principal = await authentication(database, clock).principal(key, tenant=None)
    assert (principal.tenant_id, principal.scopes) == (tenant_id, {"rag:read"})
    async with database.reading() as session:
        [row] = await session.scalars(select(ApiKeyRow))
    assert key not in str([getattr(row, column.name) for column in ApiKeyRow.__table__.columns])


@pytest.mark.parametrize("column", [ApiKeyRow.revoked_at, ApiKeyRow.expires_at])
async def test_a_key_ends_within_five_seconds(database: Database, clock: FrozenClock, column: object) -> None:
    """Revoked or set to expire now: a process that has just seen the key forgets it in time."""
    _, key = await a_key(database, clock)
    auth = authentication(database, clock)
    await auth.principal(key, tenant=None)
    async with database.transaction() as session:
        await session.execute(update(ApiKeyRow).values({column: clock.now()}))  # type: ignore[dict-item]
    clock.advance(timedelta(seconds=5))
    with pytest.raises(AuthenticationFailed):
        await auth.principal(key, tenant=None)


async def test_a_remembered_key_expires_on_time(database: Database, clock: FrozenClock) -> None:
    """Its own date is looked at each time, not only when it is looked up."""
    _, key = await a_key(database, clock)
    async with database.transaction() as session:
        await session.execute(update(ApiKeyRow).values(expires_at=clock.now() + timedelta(seconds=2)))
    auth = authentication(database, clock)
    await auth.principal(key, tenant=None)
    clock.advance(timedelta(seconds=2))
    with pytest.raises(AuthenticationFailed):
        await auth.principal(key, tenant=None)


async def test_a_new_key_works_at_once(database: Database, clock: FrozenClock) -> None:
    """That it was unknown a moment ago is not remembered."""
    tenant_id, key = await a_key(database, clock)
    auth = authentication(database, clock)
    async with database.transaction() as session:
        [row] = await session.scalars(select(ApiKeyRow))
        right, row.key_hash = row.key_hash, "0" * 64
    with pytest.raises(AuthenticationFailed):
        await auth.principal(key, tenant=None)
    async with database.transaction() as session:
        await session.execute(update(ApiKeyRow).values(key_hash=right))
    assert (await auth.principal(key, tenant=None)).tenant_id == tenant_id


async def test_development_key_is_made_once(database: Database, clock: FrozenClock) -> None:
    """A second start with the file keeps it; it is a test key with every scope."""
    key = await ensure_development_key(database, clock, kept=None)
    assert key.startswith("cxk_test_")
    assert looks_like_api_key(key)
    assert await ensure_development_key(database, clock, kept=key) == key
    assert (await authentication(database, clock).principal(key, tenant=None)).scopes == frozenset(Scope)
    async with database.reading() as session:
        names = list(await session.scalars(select(TenantRow.name)))
        keys = await session.scalar(select(func.count(ApiKeyRow.id)))
    assert (names, keys) == (["development"], 1)


async def test_development_key_is_replaced_when_row_or_file_is_gone(database: Database, clock: FrozenClock) -> None:
    """A row without its file is a key nobody knows: it stops working. A file without its row opens nothing."""
    lost = await ensure_development_key(database, clock, kept=None)
    key = await ensure_development_key(database, clock, kept=None)
    auth = authentication(database, clock)
    assert key != lost
    with pytest.raises(AuthenticationFailed):
        await auth.principal(lost, tenant=None)
    stale = lost  # its row is revoked, as good as gone
    newest = await ensure_development_key(database, clock, kept=stale)
    assert newest not in (stale, key)
    assert (await auth.principal(newest, tenant=None)).scopes == frozenset(Scope)


async def test_another_tenants_key_is_not_taken_for_the_development_key(database: Database, clock: FrozenClock) -> None:
    """What the file holds may be anything; only a working key of the development tenant is kept."""
    _, foreign = await a_key(database, clock)
    assert await ensure_development_key(database, clock, kept=foreign) != foreign
    assert await ensure_development_key(database, clock, kept="not a key") != "not a key"
