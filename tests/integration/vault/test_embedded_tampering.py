"""Nothing that was changed or moved in the tables of the embedded store opens."""

import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import SecretValueRow, TenantRow, VaultKeyRow
from vault.embedded import EmbeddedStore
from vault.envelope import Envelope
from vault.store import Place, SecretBroken

CLOCK = FrozenClock()
FORGERIES = 100_000
Sealed = tuple[bytes, bytes, bytes]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


async def stored(database: Database, store: EmbeddedStore) -> list[tuple[Place, SecretValueRow, VaultKeyRow]]:
    """Write four versions of two keys for each of two tenants, and return the rows that these became."""
    places: dict[str, Place] = {}
    for _ in range(2):
        tenant_id = TenantId(new_id())
        async with database.transaction() as session:
            session.add(TenantRow(id=tenant_id, name="test", created_at=CLOCK.now()))
        for key in ("a", "b"):
            for version in range(1, 5):
                place = Place(tenant_id=tenant_id, key=key, version=version)
                places[await store.write(place, f"the value of {key} {version}".encode())] = place
    async with database.reading() as session:
        values = (await session.scalars(select(SecretValueRow))).all()
        keys = {row.id: row for row in (await session.scalars(select(VaultKeyRow))).all()}
    return [(places[row.id], row, keys[row.vault_key_id]) for row in values]


def forged(chance: random.Random, genuine: Sealed, others: list[Sealed]) -> Sealed:
    """Return what lay there with a bit flipped, an end cut, or a part of another row in its place."""
    parts = list(genuine)
    at = chance.randrange(3)
    kind = chance.choice(("flip", "cut", "swap"))
    if kind == "flip":
        changed = bytearray(parts[at])
        bit = chance.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        parts[at] = bytes(changed)
    elif kind == "cut":
        parts[at] = parts[at][: chance.randrange(len(parts[at]))]
    else:
        parts[at] = chance.choice([other[at] for other in others if other[at] != parts[at]])
    return parts[0], parts[1], parts[2]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_forgery_opens(database: Database) -> None:
    """Of 100,000 flipped, cut and swapped keys, data keys and values none opens; what was not touched does."""
    store = EmbeddedStore(database=database, envelope=Envelope(bytes(32)), clock=CLOCK, new_id=new_id)
    rows = await stored(database, store)
    sealed = [(held.sealed_key, row.sealed_data_key, row.sealed_value) for _, row, held in rows]
    chance, opened = random.Random(6), 0
    for turn in range(FORGERIES):
        at = turn % len(rows)
        place, row, held = rows[at]
        key, data_key, value = forged(chance, sealed[at], sealed)
        try:
            store.unsealed(
                place,
                SecretValueRow(id=row.id, sealed_data_key=data_key, sealed_value=value),
                VaultKeyRow(id=held.id, tenant_id=held.tenant_id, sealed_key=key),
            )
        except SecretBroken:
            continue
        opened += 1
    assert opened == 0
    for place, row, held in rows:
        assert store.unsealed(place, row, held) == f"the value of {place.key} {place.version}".encode()


async def test_rows_changed_in_the_table_do_not_open(database: Database) -> None:
    """The value of one row copied over that of another is noticed when it is read through the store."""
    store = EmbeddedStore(database=database, envelope=Envelope(bytes(32)), clock=CLOCK, new_id=new_id)
    rows = await stored(database, store)
    (_, source, _), (place, target, _) = rows[0], rows[1]
    async with database.transaction() as session:
        row = await session.get_one(SecretValueRow, target.id)
        row.sealed_value, row.sealed_data_key = source.sealed_value, source.sealed_data_key
    with pytest.raises(SecretBroken):
        await store.read(place, target.id)


async def test_another_root_key_reads_nothing(database: Database) -> None:
    """A copy of the database opens only with the root key that sealed it."""
    store = EmbeddedStore(database=database, envelope=Envelope(bytes(32)), clock=CLOCK, new_id=new_id)
    rows = await stored(database, store)
    thief = EmbeddedStore(database=database, envelope=Envelope(bytes(31) + b"\x01"), clock=CLOCK, new_id=new_id)
    for place, row, _ in rows:
        with pytest.raises(SecretBroken):
            await thief.read(place, row.id)
