"""C31: "rotation initiated", and nothing was rotated (infisical 2043)."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import OutboxRow, TenantRow
from tests.factories.safes import a_safe
from vault.access import Reader, Terms
from vault.memory import MemoryStore
from vault.safe import Safe
from vault.store import Place, SecretBroken, SecretStoreUnreachable

TENANT = TenantId("t")


class Forgetful(MemoryStore):
    """Accepts every value; of those written later than the first it keeps another, or nothing."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self._first = ""

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        is_first = not self._first
        if not is_first and self.fault == "away":
            raise SecretStoreUnreachable("The store of secrets does not answer.")
        kept = b"another" if not is_first and self.fault == "garbled" else value
        stored_as = await super().write(place, kept, written_as=written_as)
        self._first = self._first or stored_as
        return stored_as

    async def read(self, place: Place, stored_as: str) -> bytes:
        if stored_as != self._first and self.fault == "lost":
            raise SecretBroken("There is no such value.")
        return await super().read(place, stored_as)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        session.add(TenantRow(id=TENANT, name="t", created_at=FrozenClock().now()))
    yield database
    await database.dispose()


async def put(safe: Safe) -> None:
    await safe.put(TENANT, "k", "old", Terms(), expires_at=None, cas=None, by="key:k")


async def value(safe: Safe) -> tuple[str, int]:
    found = await safe.read(TENANT, "k", None, Reader(principal="key:k"))
    return found.value, found.version


async def told(database: Database) -> list[str]:
    rows = await database.rows(select(OutboxRow.type).order_by(OutboxRow.sequence))
    return [kind for (kind,) in rows if kind != "vault.secret.accessed"]


async def test_C31_a_rotation_that_is_told_is_one(database: Database) -> None:
    """From its answer on, the new value and no other is given out."""
    safe = a_safe(database, FrozenClock())
    await put(safe)
    row, previous = await safe.rotate(TENANT, "k", "new", expires_at=None, cas=None, by="key:k")
    assert (row.version, previous, await value(safe)) == (2, 1, ("new", 2))
    assert await told(database) == ["vault.secret.created", "vault.secret.rotated"]


@pytest.mark.parametrize("fault", ["garbled", "lost", "away"])
async def test_C31_a_rotation_whose_value_cannot_be_read_back_never_happened(database: Database, fault: str) -> None:
    """It fails; the old value is given out as before, and no event tells of another. Mended, it goes through."""
    store = Forgetful(fault)
    safe = a_safe(database, FrozenClock(), store)
    await put(safe)
    with pytest.raises((SecretBroken, SecretStoreUnreachable)):
        await safe.rotate(TENANT, "k", "new", expires_at=None, cas=None, by="key:k")
    assert await value(safe) == ("old", 1)
    assert await told(database) == ["vault.secret.created"]
    store.fault = "none"
    await safe.rotate(TENANT, "k", "new", expires_at=None, cas=None, by="key:k")
    assert await value(safe) == ("new", 2)
