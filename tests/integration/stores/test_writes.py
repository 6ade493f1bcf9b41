"""The cheap way to write commits all of it or nothing, beside whoever else writes."""

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database, Writer
from stores.sql.models import TenantRow
from tests.integration.stores.test_reads import names, tenant


def add(writer: Writer, name: str) -> str:
    writer.add(tenant(name))
    return name


async def test_what_a_write_returns_is_committed(database: Database) -> None:
    """Its result comes back, and others see what it did."""
    assert await database.write(lambda writer: add(writer, "one")) == "one"
    assert await names(database) == ["one"]


async def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    """Neither what it did before; the next write works."""

    def fail(writer: Writer) -> None:
        add(writer, "half")
        writer.flush()
        raise LookupError("no")

    with pytest.raises(LookupError):
        await database.write(fail)
    await database.write(lambda writer: add(writer, "whole"))
    assert await names(database) == ["whole"]


async def test_a_write_inside_a_unit_shares_its_fate(database: Database) -> None:
    """It is undone with the unit."""
    async with database.unit_of_work():
        await database.write(lambda writer: add(writer, "undone"))
    async with database.unit_of_work() as work:
        await database.write(lambda writer: add(writer, "kept"))
        await work.commit()
    assert await names(database) == ["kept"]


async def test_writers_of_all_kinds_lose_nothing_beside_one_another(database: Database, database_url: str) -> None:
    """Eighty read a number and write the next, over two pools: none is written over."""
    other, tenant_id = Database(database_url), TenantId(new_id())
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="0", created_at=SystemClock().now()))

    def count(writer: Session) -> None:
        row = writer.scalars(select(TenantRow).where(TenantRow.id == tenant_id).with_for_update()).one()
        row.name = str(int(row.name) + 1)

    async def count_slowly(database: Database) -> None:
        async with database.transaction() as session:
            await session.run_sync(count)

    async with asyncio.TaskGroup() as tasks:
        for each in (database, other) * 20:
            tasks.create_task(each.write(count))
            tasks.create_task(count_slowly(each))
    await other.dispose()
    assert await names(database) == ["80"]
