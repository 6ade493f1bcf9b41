"""C29: no lifetime on a secret (hashicorp/vault 6184, 6274)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from core.errors import SecretExpired
from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import TenantRow
from tests.factories.safes import a_safe
from vault.access import Reader, Terms
from vault.memory import MemoryStore
from vault.safe import Safe
from vault.store import Place

TENANT = TenantId("t")
READER = Reader(principal="key:k")
FLOW = {"host": "api.example.com", "principal": "key:k", "flow": "f", "execution": "e"}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def database(database_url: str, clock: FrozenClock) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        session.add(TenantRow(id=TENANT, name="t", created_at=clock.now()))
    yield database
    await database.dispose()


async def put(safe: Safe, clock: FrozenClock, value: str, **lifetime: float) -> None:
    ends = clock.now() + timedelta(**lifetime)
    await safe.put(TENANT, "k", value, Terms(), expires_at=ends, cas=None, by="key:k")


async def test_C29_a_warm_reader_is_refused_at_the_very_moment(database: Database, clock: FrozenClock) -> None:
    """Read a hundred times, by this process and another: the first read at its end is refused, and every later one."""
    here, there = a_safe(database, clock), a_safe(database, clock)
    await put(here, clock, "hunter2", hours=1)
    for _ in range(50):
        for safe in (here, there):
            assert (await safe.read(TENANT, "k", None, READER)).value == "hunter2"
    clock.advance(timedelta(hours=1))
    for safe in (here, there):
        for number in (None, 1):
            with pytest.raises(SecretExpired, match="Store a new version"):
                await safe.read(TENANT, "k", number, READER)


async def test_C29_a_running_execution_is_refused_too(database: Database, clock: FrozenClock) -> None:
    """It asks at each use: what it was given before its secret's end it is not given after it."""
    safe = a_safe(database, clock)
    await put(safe, clock, "hunter2", minutes=5)
    assert (await safe.resolve(TENANT, "k", **FLOW)).value == "hunter2"
    clock.advance(timedelta(minutes=5))
    with pytest.raises(SecretExpired):
        await safe.resolve(TENANT, "k", **FLOW)


async def test_C29_a_lifetime_is_a_versions_own(database: Database, clock: FrozenClock) -> None:
    """A new version revives no old one: it can neither be read by its number nor be rolled back to."""
    safe = a_safe(database, clock)
    await put(safe, clock, "old", hours=1)
    clock.advance(timedelta(hours=1))
    await put(safe, clock, "new", hours=1)
    assert (await safe.read(TENANT, "k", None, READER)).value == "new"
    with pytest.raises(SecretExpired):
        await safe.read(TENANT, "k", 1, READER)
    with pytest.raises(SecretExpired):
        await safe.roll_back(TENANT, "k", 1, cas=None, by="key:k")


async def test_C29_what_ends_while_it_is_fetched_is_not_given_out(database: Database, clock: FrozenClock) -> None:
    """A store that takes its time over the last moment: refused, and nothing says that it was given out."""
    safe = a_safe(database, clock)

    class Slow(MemoryStore):
        async def read(self, place: Place, stored_as: str) -> bytes:
            value = await super().read(place, stored_as)
            clock.advance(timedelta(minutes=5))
            return value

    safe = replace(safe, store=Slow())
    await put(safe, clock, "hunter2", minutes=8)  # read back once when it was written
    with pytest.raises(SecretExpired):
        await safe.read(TENANT, "k", None, READER)
