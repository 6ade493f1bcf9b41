"""Values elsewhere: none is forgotten there, whatever is cut off, and none is destroyed that somebody has."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from core.clock import FrozenClock
from core.errors import Conflict
from core.ids import TenantId, new_id
from stores.secrets import Secrets
from stores.sql.engine import Database
from stores.sql.models import SecretRemovalRow, TenantRow
from tests.factories.safes import a_safe
from tests.fakes.moody_store import MoodyStore
from vault import elsewhere
from vault.access import Reader, Terms
from vault.check import check, destroy_strays, every_secret
from vault.hashicorp import HashicorpStore
from vault.safe import Safe
from vault.store import Place, SecretStore, SecretStoreUnreachable

READER = Reader(principal="key:k")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=["memory", "hashicorp"])
def store(request: pytest.FixtureRequest) -> SecretStore:
    if request.param == "memory":
        return MoodyStore()
    hashicorp: SecretStore = request.getfixturevalue("hashicorp_store")
    return hashicorp


@pytest.fixture
def safe(database: Database, clock: FrozenClock, store: SecretStore) -> Safe:
    return a_safe(database, clock, store)


@pytest.fixture
async def tenant_id(safe: Safe) -> TenantId:
    tenant_id = TenantId(new_id())
    async with safe.database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=safe.clock.now()))
    return tenant_id


async def put(safe: Safe, tenant_id: TenantId, value: str, key: str = "k", cas: int | None = None) -> None:
    await safe.put(tenant_id, key, value, Terms(), expires_at=None, cas=cas, by="test")


async def value_of(safe: Safe, tenant_id: TenantId, key: str = "k") -> str:
    return (await safe.read(tenant_id, key, None, READER)).value


async def kept(safe: Safe, tenant_id: TenantId) -> int:
    return len(await safe.store.kept(tenant_id))


async def rows(safe: Safe) -> int:
    [(count,)] = await safe.database.rows(select(func.count()).select_from(SecretRemovalRow))
    return count


async def destroyed_an_hour_later(safe: Safe, clock: FrozenClock) -> int:
    clock.advance(timedelta(minutes=59))
    assert await safe.elsewhere.destroy_due() == 0, "it may still be under way"
    clock.advance(timedelta(minutes=2))
    return await safe.elsewhere.destroy_due()


async def test_what_is_stored_leaves_no_row(safe: Safe, tenant_id: TenantId, clock: FrozenClock) -> None:
    """Every version that was committed stays, however much later somebody looks."""
    for value in ("one", "two"):
        await put(safe, tenant_id, value)
    await safe.rotate(tenant_id, "k", "three", expires_at=None, cas=None, by="test")
    await safe.roll_back(tenant_id, "k", 1, cas=None, by="test")
    assert await rows(safe) == 0
    assert await destroyed_an_hour_later(safe, clock) == 0
    assert (await value_of(safe, tenant_id), await kept(safe, tenant_id)) == ("one", 4)


async def test_a_write_that_was_cut_off_is_destroyed(
    safe: Safe, tenant_id: TenantId, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the store's answer and our commit: an hour later its value is gone, that of before is not."""
    await put(safe, tenant_id, "one")
    genuine = Secrets.add_version

    async def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Secrets, "add_version", cut_off)
    with pytest.raises(KeyboardInterrupt):
        await put(safe, tenant_id, "two")
    monkeypatch.setattr(Secrets, "add_version", genuine)
    assert (await kept(safe, tenant_id), await rows(safe)) == (2, 1)
    assert (await check(safe, tenant_id)).strays == [], "it may still be under way"
    assert await destroyed_an_hour_later(safe, clock) == 1
    assert (await value_of(safe, tenant_id), await kept(safe, tenant_id), await rows(safe)) == ("one", 1, 0)


async def test_a_write_whose_answer_was_lost_is_destroyed(
    safe: Safe, tenant_id: TenantId, store: SecretStore, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store has it and nobody knows its number: it is found by the name that it was written under."""
    await put(safe, tenant_id, "one")
    genuine = store.write

    async def lost(place: Place, value: bytes, *, written_as: str | None = None) -> str:
        await genuine(place, value, written_as=written_as)
        raise SecretStoreUnreachable("The store of secrets does not answer.")

    monkeypatch.setattr(store, "write", lost)
    with pytest.raises(SecretStoreUnreachable):
        await put(safe, tenant_id, "two")
    monkeypatch.setattr(store, "write", genuine)
    await put(safe, tenant_id, "three")
    assert await kept(safe, tenant_id) == 3
    assert await destroyed_an_hour_later(safe, clock) == 1
    assert (await value_of(safe, tenant_id), await kept(safe, tenant_id)) == ("three", 2)


async def test_a_change_that_is_refused_writes_nothing(safe: Safe, tenant_id: TenantId) -> None:
    """Nothing is put into the store for whoever has seen another version than the current one."""
    await put(safe, tenant_id, "one")
    with pytest.raises(Conflict):
        await put(safe, tenant_id, "two", cas=5)
    assert (await kept(safe, tenant_id), await rows(safe)) == (1, 0)


async def test_a_writer_who_took_too_long_is_told(safe: Safe, tenant_id: TenantId, clock: FrozenClock) -> None:
    """Its value is being destroyed: it does not become a version."""
    written = await safe.elsewhere.write(tenant_id, "k", b"one")
    assert await destroyed_an_hour_later(safe, clock) == 1
    with pytest.raises(Conflict):
        async with safe.database.transaction() as session:
            await safe.elsewhere.settle(session, written)


@pytest.mark.parametrize("do", ["destroy", "forget"])
async def test_what_cannot_be_destroyed_now_is_destroyed_later(database: Database, clock: FrozenClock, do: str) -> None:
    """Also by another process, after this one has ended: what is to be done stands in the database."""
    store, tenant_id = MoodyStore(), TenantId(new_id())
    safe = a_safe(database, clock, store)
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=clock.now()))
    for key in ("a", "a/b"):
        await put(safe, tenant_id, "value", key)
    store.mood = "sealed"
    if do == "destroy":
        await safe.destroy(tenant_id, "a", None, by="test")
    else:
        await safe.forget_tenant(tenant_id)
    assert await safe.elsewhere.destroy_due() == 0
    store.mood = "well"
    assert await kept(safe, tenant_id) == 2
    assert await a_safe(database, clock, store).elsewhere.destroy_due() == 1
    assert await kept(safe, tenant_id) == (1 if do == "destroy" else 0)
    assert await rows(safe) == 0


async def test_what_is_never_destroyed_holds_up_nothing(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many values the store refuses to destroy, those that are doomed after them are destroyed."""
    store, tenant_id = MoodyStore(), TenantId(new_id())
    safe = a_safe(database, clock, store)
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=clock.now()))
    genuine, tried = MoodyStore.destroy, list[str]()

    async def destroy(place: Place, stored_as: str) -> None:
        tried.append(place.key)
        if place.key.startswith("refused"):
            raise SecretStoreUnreachable("Its policy forbids that.")
        await genuine(store, place, stored_as)

    monkeypatch.setattr(store, "destroy", destroy)
    monkeypatch.setattr(elsewhere, "_AT_ONCE", 4)
    for number in range(5):
        await put(safe, tenant_id, "value", f"refused/{number}")
        await safe.destroy(tenant_id, f"refused/{number}", None, by="test")
    for number in range(9):
        await put_while_sealed(safe, tenant_id, f"k{number}")
    store.mood = "well"
    ticks = 0
    while await rows(safe) > 5:
        assert (ticks := ticks + 1) <= 6
        await safe.elsewhere.destroy_due()
    assert await kept(safe, tenant_id) == 5
    tried.clear()
    assert await safe.elsewhere.destroy_due() == 0
    assert len(tried) == 3, "a store that is away is not asked for each"


async def put_while_sealed(safe: Safe, tenant_id: TenantId, key: str) -> None:
    """Store and destroy a secret, of which the store hears the first only."""
    assert isinstance(safe.store, MoodyStore)
    safe.store.mood = "well"
    await put(safe, tenant_id, "value", key)
    safe.store.mood = "sealed"
    await safe.destroy(tenant_id, key, None, by="test")


async def test_a_tenant_that_is_forgotten_is_forgotten_elsewhere(safe: Safe, tenant_id: TenantId) -> None:
    """With every path of it, and no other tenant's."""
    other = TenantId(new_id())
    async with safe.database.transaction() as session:
        session.add(TenantRow(id=other, name="test", created_at=safe.clock.now()))
    for owner in (tenant_id, other):
        for key in ("a", "a/b", "c/d/e"):
            await put(safe, owner, "value", key)
    await safe.forget_tenant(tenant_id)
    assert (await kept(safe, tenant_id), await kept(safe, other), await rows(safe)) == (0, 3, 0)


async def test_a_check_finds_what_is_lost_and_what_is_nobodys(
    safe: Safe, tenant_id: TenantId, store: SecretStore
) -> None:
    """Strays are destroyed if that is wanted; versions stay, and one that vanished in the store is told."""
    for value in ("one", "two"):
        await put(safe, tenant_id, value, "a/b")
    await put(safe, tenant_id, "value", "a")
    found = await check(safe, tenant_id)
    assert (found.good, found.lost, found.strays) == (3, [], [])
    where = Place(tenant_id=tenant_id, key="a", version=0)
    await store.write(where, b"nobody's")
    await store.write(replace(where, key="never/was"), b"nobody's")
    of_secret = {secret.key: versions async for secret, versions in every_secret(safe.database, tenant_id)}
    await store.destroy(replace(where, key="a/b"), of_secret["a/b"][0].stored_as)
    found = await check(safe, tenant_id)
    assert (found.good, found.lost) == (2, [("a/b", 1)])
    assert [stray.key for stray in found.strays] == ["a", "never/was"]
    if isinstance(store, HashicorpStore):
        await destroy_strays(safe, tenant_id, found.strays)
        assert (await check(safe, tenant_id)).strays == []
    assert await value_of(safe, tenant_id, "a") == "value"
    assert await value_of(safe, tenant_id, "a/b") == "two"
