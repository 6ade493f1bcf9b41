"""The audit log on both databases: one chain per tenant, and no change that is not found."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from core.clock import FrozenClock
from core.ids import TenantId
from stores.audit import AuditLog, Verdict, link_hash, verify
from stores.sql.engine import Database
from stores.sql.models import AuditEventRow, AuditHeadRow, TenantRow

TENANT, OTHER = TenantId("t"), TenantId("o")
CLOCK = FrozenClock()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        session.add_all(TenantRow(id=tenant, name=tenant, created_at=CLOCK.now()) for tenant in (TENANT, OTHER))
    yield database
    await database.dispose()


async def append(database: Database, number: int, tenant: TenantId = TENANT) -> None:
    async with database.transaction() as session:
        await AuditLog(CLOCK).append(
            session,
            tenant,
            actor="key:a",
            action="document.deleted",
            resource_type="document",
            resource_id=f"d{number}",
            details={"ä": [number, None, 1.5], "b": "\u2028"},
        )


async def verdict(database: Database, tenant: TenantId = TENANT) -> Verdict:
    async with database.reading() as session:
        return await verify(session, tenant)


async def test_chains_hold_and_are_each_tenants_own(database: Database) -> None:
    """Entries of one tenant do not stand in the chain of another; an empty chain holds."""
    assert await verdict(database) == Verdict(links=0)
    for number in range(5):
        await append(database, number)
    await append(database, 0, OTHER)
    assert (await verdict(database), await verdict(database, OTHER)) == (Verdict(links=5), Verdict(links=1))


async def test_entries_written_at_once_follow_one_another(database: Database) -> None:
    """The first of a chain included."""
    await asyncio.gather(*(append(database, number) for number in range(16)))
    assert await verdict(database) == Verdict(links=16)


async def test_an_entry_exists_only_if_its_change_does(database: Database) -> None:
    """A transaction that fails leaves neither entry nor gap."""
    await append(database, 0)
    with pytest.raises(LookupError):
        async with database.transaction() as session:
            await AuditLog(CLOCK).append(
                session, TENANT, actor="a", action="b", resource_type="c", resource_id="d", details={}
            )
            raise LookupError
    await append(database, 1)
    assert await verdict(database) == Verdict(links=2)


CHANGES: list[dict[str, Any]] = [
    {"actor": "key:b"},
    {"action": "document.ingested"},
    {"resource_type": "key"},
    {"resource_id": "d9"},
    {"request_id": "r"},
    {"details": {"ä": [2, None, 1.5], "b": ""}},
    {"occurred_at": CLOCK.now() + timedelta(microseconds=1)},
    {"id": "another"},
    {"previous_hash": "1" * 64},
    {"hash": "1" * 64},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_a_changed_field_is_found(database: Database, change: dict[str, Any]) -> None:
    """Whichever it is, the chain is broken at that entry."""
    for number in range(4):
        await append(database, number)
    async with database.transaction() as session:
        await session.execute(update(AuditEventRow).where(AuditEventRow.sequence == 3).values(**change))
    found = await verdict(database)
    assert found.links == 2
    assert "entry 3" in (found.fault or "")


@pytest.mark.parametrize("removed", [1, 2, 4])
async def test_a_removed_entry_is_found(database: Database, removed: int) -> None:
    """The first, one in the middle, and the newest."""
    for number in range(4):
        await append(database, number)
    async with database.transaction() as session:
        await session.execute(delete(AuditEventRow).where(AuditEventRow.sequence == removed))
    assert (await verdict(database)).links == removed - 1
    assert not (await verdict(database)).holds


async def test_a_forged_tail_is_found(database: Database) -> None:
    """An entry with right hashes that the head does not know of, and a chain whose head is gone."""
    await append(database, 0)
    async with database.transaction() as session:
        forged = await session.get_one(AuditEventRow, (TENANT, 1))
        session.expunge(forged)
        copy = AuditEventRow(
            **{column.name: getattr(forged, column.name) for column in AuditEventRow.__table__.columns}
            | {"sequence": 2, "id": "forged", "previous_hash": forged.hash}
        )
        copy.hash = link_hash(copy)
        session.add(copy)
    assert not (await verdict(database)).holds
    async with database.transaction() as session:
        await session.execute(delete(AuditHeadRow))
    assert not (await verdict(database)).holds
