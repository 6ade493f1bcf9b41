"""Another root key, with everything that lies under it, however often its taking over is cut off."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import LargeBinary, insert

from core.clock import FrozenClock
from core.ids import new_id
from stores.sql.engine import Database
from stores.sql.models import Base, IdempotencyRow
from vault import root_rotation
from vault.envelope import Envelope, SealBroken
from vault.root_rotation import SEALED, RootRotation

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
ROWS = 25
CLOCK = FrozenClock()
# Sealed under a tenant's key, or under a value's own.
DEEPER = {("secret_values", "sealed_data_key"), ("secret_values", "sealed_value")}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


async def keep(database: Database, envelope: Envelope, count: int = ROWS) -> list[str]:
    """Put so many sealed answers into the database; what each says is where it lies."""
    ids = [new_id() for _ in range(count)]
    async with database.transaction() as session:
        for row_id in ids:
            sealed = envelope.seal(row_id.encode(), purpose="idempotency", place=row_id)
            await session.execute(
                insert(IdempotencyRow).values(
                    identity=row_id, fingerprint="f", fence=1, status=200, headers={}, sealed_body=sealed,
                    lease_until=CLOCK.now(), created_at=CLOCK.now(), expires_at=CLOCK.now() + timedelta(days=1),
                )
            )  # fmt: skip
    return ids


async def opened(database: Database, envelope: Envelope) -> set[str]:
    async with database.reading() as session:
        rows = [await session.get(IdempotencyRow, row_id) for row_id in await ids_of(database)]
    return {
        envelope.open(row.sealed_body, purpose="idempotency", place=row.identity).decode()
        for row in rows
        if row is not None and row.sealed_body is not None
    }


async def ids_of(database: Database) -> list[str]:
    from sqlalchemy import select

    async with database.reading() as session:
        return list(await session.scalars(select(IdempotencyRow.identity)))


def test_every_column_that_is_sealed_is_known() -> None:
    """A column that the rotation forgets is lost with the key: whoever adds one says what it lies under."""
    columns = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert columns - DEEPER == {(column.table, column.column) for column in SEALED}


async def test_everything_goes_under_the_new_key(database: Database) -> None:
    """None is left under the old one, which opens nothing any more; what is null stays null."""
    ids = await keep(database, Envelope(OLD))
    rotation = RootRotation(database=database, envelope=Envelope(NEW, OLD))
    assert await rotation.left() == ROWS
    assert (moved := await rotation.re_wrap()).done == ROWS
    assert (moved.broken, await rotation.left(), await rotation.counts()) == (0, 0, {Envelope(NEW).newest: ROWS})
    assert await opened(database, Envelope(NEW)) == set(ids)
    with pytest.raises(SealBroken):
        await opened(database, Envelope(OLD))
    assert (await rotation.re_wrap()).done == 0


async def test_it_goes_on_where_it_was_cut_off(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a batch: what was committed stays, all is readable, and the rest follows."""
    ids = await keep(database, Envelope(OLD))
    monkeypatch.setattr(root_rotation, "_AT_ONCE", 10)
    envelope = Envelope(NEW, OLD)
    genuine, sealed = envelope.seal, 0

    def seal(plaintext: bytes, *, purpose: str, place: str) -> bytes:
        nonlocal sealed
        sealed += 1
        if sealed == 15:
            raise KeyboardInterrupt
        return genuine(plaintext, purpose=purpose, place=place)

    monkeypatch.setattr(envelope, "seal", seal)
    rotation = RootRotation(database=database, envelope=envelope)
    with pytest.raises(KeyboardInterrupt):
        await rotation.re_wrap()
    assert await rotation.left() == ROWS - 10
    assert await opened(database, Envelope(NEW, OLD)) == set(ids)
    assert (await rotation.re_wrap()).done == ROWS - 10
    assert await opened(database, Envelope(NEW)) == set(ids)


async def test_what_does_not_open_holds_up_nothing(database: Database) -> None:
    """It is counted and left as it is; with root keys of another installation nothing is changed."""
    await keep(database, Envelope(bytes(32)), count=3)
    ids = await keep(database, Envelope(OLD))
    rotation = RootRotation(database=database, envelope=Envelope(NEW, OLD))
    assert await rotation.opens_some()
    moved = await rotation.re_wrap()
    assert (moved.done, moved.broken, await rotation.left()) == (ROWS, 3, 3)
    assert len(ids) == ROWS
    stranger = RootRotation(database=database, envelope=Envelope(bytes([7]) * 32))
    assert not await stranger.opens_some()
    assert (await stranger.re_wrap()).done == 0


async def test_of_two_writers_the_owner_wins(database: Database) -> None:
    """A row that its owner has changed since it was read is not put back to what it was."""
    [row_id] = await keep(database, Envelope(OLD), count=1)
    column = next(each for each in SEALED if each.table == "idempotency_records")
    async with database.transaction() as session:
        [(found, _, sealed)] = await column.without(session, Envelope(NEW).newest, after="", limit=10)
        assert found == row_id
        assert await column.replace(session, row_id, sealed, b"theirs")
        assert not await column.replace(session, row_id, sealed, b"ours")


async def test_an_installation_without_seals_can_begin(database: Database) -> None:
    """There is nothing to open, so nothing is wrong."""
    rotation = RootRotation(database=database, envelope=Envelope(NEW))
    assert await rotation.opens_some()
    assert (await rotation.left(), await rotation.counts()) == (0, {})
