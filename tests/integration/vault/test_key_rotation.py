"""A tenant's key is changed while its secrets are read, and however often that is cut off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from stores.secret_values import SecretValues
from stores.sql.engine import Database
from stores.sql.models import TenantRow
from tests.factories.safes import a_safe
from vault import embedded
from vault.access import Terms
from vault.embedded import EmbeddedStore
from vault.envelope import Envelope
from vault.safe import Safe
from vault.store import SecretBroken

SECRETS = 12


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def safe(database: Database) -> Safe:
    return a_safe(database, FrozenClock())


@pytest.fixture
def store(safe: Safe) -> EmbeddedStore:
    assert isinstance(safe.store, EmbeddedStore)
    return safe.store


@pytest.fixture
async def tenant_id(safe: Safe) -> TenantId:
    """A tenant with secrets whose values are their keys."""
    tenant_id = TenantId(new_id())
    async with safe.database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=safe.clock.now()))
    for number in range(SECRETS):
        await safe.put(tenant_id, f"k{number}", f"k{number}", Terms(), expires_at=None, cas=None, by="test")
    return tenant_id


async def read_all(safe: Safe, tenant_id: TenantId) -> list[str]:
    found = [
        await safe.resolve(tenant_id, f"k{number}", host="h", principal="p", flow="f", execution="e")
        for number in range(SECRETS)
    ]
    return [revealed.value for revealed in found]


async def counts(database: Database, tenant_id: TenantId) -> list[int]:
    """Return how many values each key seals, the oldest key first."""
    async with database.reading() as session:
        values = SecretValues(session, tenant_id)
        by_key = await values.count_by_key()
        return [by_key.get(held.id, 0) for held in await values.keys()]


EVERYTHING = [f"k{number}" for number in range(SECRETS)]


async def test_a_new_key_takes_over(database: Database, safe: Safe, store: EmbeddedStore, tenant_id: TenantId) -> None:
    """Old values stay readable under the old key, and are all under the new one once they were re-wrapped."""
    assert await store.rotate_key(tenant_id) == 2
    assert await counts(database, tenant_id) == [SECRETS, 0]
    assert await read_all(safe, tenant_id) == EVERYTHING
    moved = await store.re_wrap(tenant_id)
    assert (moved.done, moved.broken) == (SECRETS, 0)
    assert await counts(database, tenant_id) == [SECRETS], "the old key seals nothing, and is gone"
    assert await read_all(safe, tenant_id) == EVERYTHING
    assert (await store.re_wrap(tenant_id)).done == 0


async def test_it_goes_on_where_it_was_cut_off(
    database: Database, safe: Safe, store: EmbeddedStore, tenant_id: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the midst of a batch, nothing is unreadable, what was committed stays, and the rest follows."""
    await store.rotate_key(tenant_id)
    monkeypatch.setattr(embedded, "_AT_ONCE", 5)
    genuine, put = SecretValues.put_under, 0

    async def put_under(*arguments: object) -> None:
        nonlocal put
        put += 1
        if put == 8:
            raise asyncio.CancelledError
        await genuine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SecretValues, "put_under", put_under)
    with pytest.raises(asyncio.CancelledError):
        await store.re_wrap(tenant_id)
    assert await counts(database, tenant_id) == [SECRETS - 5, 5]
    assert await read_all(safe, tenant_id) == EVERYTHING
    assert (await store.re_wrap(tenant_id)).done == SECRETS - 5
    assert await counts(database, tenant_id) == [SECRETS]


async def test_a_wrong_root_key_changes_nothing(
    database: Database, safe: Safe, store: EmbeddedStore, tenant_id: TenantId
) -> None:
    """With another root key no tenant's key is rotated, nor any value moved; the right one reads on."""
    await store.rotate_key(tenant_id)
    wrong = replace(store, envelope=Envelope(b"\x01" * 32))
    with pytest.raises(SecretBroken):
        await wrong.rotate_key(tenant_id)
    assert (await wrong.re_wrap(tenant_id)).broken == SECRETS
    assert await counts(database, tenant_id) == [SECRETS, 0]
    assert await read_all(safe, tenant_id) == EVERYTHING


async def test_readers_notice_nothing(safe: Safe, store: EmbeddedStore, tenant_id: TenantId) -> None:
    """While keys are rotated three times, every read returns the value it should."""
    done = asyncio.Event()

    async def read() -> int:
        rounds = 0
        while not done.is_set() or rounds == 0:
            assert await read_all(safe, tenant_id) == EVERYTHING
            rounds += 1
        return rounds

    async def rotate() -> None:
        try:
            for _ in range(3):
                await store.rotate_key(tenant_id)
                await store.re_wrap(tenant_id)
        finally:
            done.set()

    *rounds, _ = await asyncio.gather(read(), read(), rotate())
    assert all(rounds)


async def test_the_first_writes_of_a_tenant_make_one_key(database: Database, database_url: str) -> None:
    """Of sixteen at once, over eight pools of connections: every value is readable, and there is key number 1 alone."""
    databases = [Database(database_url) for _ in range(8)]
    for round_ in range(5):
        tenant_id = TenantId(new_id())
        async with database.transaction() as session:
            session.add(TenantRow(id=tenant_id, name="test", created_at=FrozenClock().now()))
        safes = [a_safe(each, FrozenClock()) for each in databases] * 2
        await asyncio.gather(
            *(
                safe.put(tenant_id, f"k{number}", f"{round_}", Terms(), expires_at=None, cas=None, by="test")
                for number, safe in enumerate(safes)
            )
        )
        async with database.reading() as session:
            assert [held.number for held in await SecretValues(session, tenant_id).keys()] == [1]
        assert await read_all(a_safe(database, FrozenClock()), tenant_id) == [str(round_)] * SECRETS
    for each in databases:
        await each.dispose()


async def test_two_rotations_at_once_make_two_keys(
    database: Database, database_url: str, safe: Safe, store: EmbeddedStore, tenant_id: TenantId
) -> None:
    """Neither fails; whatever is written, rotated and removed at once, all is readable, under one key in the end."""
    databases = [Database(database_url) for _ in range(4)]
    others = [a_safe(each, FrozenClock()) for each in databases]

    async def turn(other: Safe) -> None:
        assert isinstance(other.store, EmbeddedStore)
        for number in range(4):
            await other.store.rotate_key(tenant_id)
            await other.put(tenant_id, f"k{number}", f"k{number}", Terms(), expires_at=None, cas=None, by="test")
            await other.store.re_wrap(tenant_id)

    await asyncio.gather(*(turn(other) for other in others))
    assert await read_all(safe, tenant_id) == EVERYTHING
    assert (await store.re_wrap(tenant_id)).broken == 0
    [count] = await counts(database, tenant_id)
    assert count == SECRETS + 4 * 4
    async with database.reading() as session:
        assert [held.number for held in await SecretValues(session, tenant_id).keys()] == [1 + 4 * 4]
    for each in databases:
        await each.dispose()
