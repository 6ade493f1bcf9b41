"""The one contract of stores of secrets: what holds for every one of them, on every database."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import TenantRow
from vault.embedded import EmbeddedStore
from vault.envelope import Envelope
from vault.memory import MemoryStore
from vault.store import Place, SecretBroken, SecretStore

CLOCK = FrozenClock()
VALUES = [b"", b"x", "pässwörd €".encode(), bytes(range(256)), b"v" * 65_536]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture(params=["memory", "embedded", "hashicorp", "hashicorp, transit"])
def store(request: pytest.FixtureRequest, database: Database) -> SecretStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "hashicorp":
        hashicorp: SecretStore = request.getfixturevalue("hashicorp_store")
        return hashicorp
    if request.param == "hashicorp, transit":
        sealing: SecretStore = request.getfixturevalue("transit_store")
        return sealing
    return EmbeddedStore(database=database, envelope=Envelope(bytes(32)), clock=CLOCK, new_id=new_id)


async def a_place(database: Database, key: str = "db/password") -> Place:
    """Return a place of a tenant that has nothing else."""
    tenant_id = TenantId(new_id())
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=CLOCK.now()))
    return Place(tenant_id=tenant_id, key=key, version=1)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{len(value)} bytes")
async def test_what_is_written_is_read(database: Database, store: SecretStore, value: bytes) -> None:
    """Any bytes come back as they were, however long."""
    place = await a_place(database)
    stored_as = await store.write(place, value)
    assert len(stored_as) <= 255
    assert await store.read(place, stored_as) == value


async def test_each_version_is_kept_by_itself(database: Database, store: SecretStore) -> None:
    """A version that is written after another leaves that one readable, and destroying it does, too."""
    first = await a_place(database)
    second = replace(first, version=2)
    known = [await store.write(first, b"one"), await store.write(second, b"two")]
    assert [await store.read(first, known[0]), await store.read(second, known[1])] == [b"one", b"two"]
    await store.destroy(second, known[1])
    assert await store.read(first, known[0]) == b"one"


async def test_nothing_is_read_from_another_place(database: Database, store: SecretStore) -> None:
    """A value is not given to another tenant, nor under another key or version, though its stored name is known."""
    place, other = await a_place(database), await a_place(database)
    stored_as = await store.write(place, b"secret")
    await store.write(other, b"other")
    elsewhere = [
        replace(place, tenant_id=other.tenant_id),
        replace(place, key="db/passwor"),
        replace(place, version=2),
        replace(place, version=11),
    ]
    for wrong in elsewhere:
        with pytest.raises(SecretBroken):
            await store.read(wrong, stored_as)
    assert await store.read(place, stored_as) == b"secret"


async def test_what_is_destroyed_is_gone(database: Database, store: SecretStore) -> None:
    """A destroyed value is read no more, and destroying it once more is no error."""
    place = await a_place(database)
    stored_as = await store.write(place, b"secret")
    await store.destroy(place, stored_as)
    await store.destroy(place, stored_as)
    with pytest.raises(SecretBroken):
        await store.read(place, stored_as)


async def test_another_tenant_cannot_destroy(database: Database, store: SecretStore) -> None:
    """Who knows what a value is stored as cannot destroy it from another tenant."""
    place, other = await a_place(database), await a_place(database)
    stored_as = await store.write(place, b"secret")
    await store.destroy(replace(place, tenant_id=other.tenant_id), stored_as)
    assert await store.read(place, stored_as) == b"secret"


async def test_a_forgotten_tenant_takes_no_other_along(database: Database, store: SecretStore) -> None:
    """All values of the tenant are unreadable, those of others are not, and it can begin anew."""
    place, other = await a_place(database), await a_place(database)
    gone, kept = await store.write(place, b"gone"), await store.write(other, b"kept")
    await store.forget_tenant(place.tenant_id)
    await store.forget_tenant(place.tenant_id)
    with pytest.raises(SecretBroken):
        await store.read(place, gone)
    assert await store.read(other, kept) == b"kept"
    assert await store.read(place, await store.write(place, b"new")) == b"new"


async def test_a_store_that_is_well_says_so(store: SecretStore) -> None:
    """Health returns, and raises nothing."""
    await store.health()
