"""One request, one transaction, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context

import pytest
from sqlalchemy import func, select

from core.clock import FrozenClock
from stores.sql.engine import Database, Session
from stores.sql.models import TenantRow


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


def tenant(name: str) -> TenantRow:
    return TenantRow(id=name, name=name, created_at=FrozenClock().now())


async def tenants(session: Session) -> int:
    return await session.scalar(select(func.count()).select_from(TenantRow)) or 0


async def add(database: Database, name: str, *, independent: bool = False) -> None:
    async with database.transaction(independent=independent) as session:
        session.add(tenant(name))


async def test_what_services_write_becomes_true_together(database: Database) -> None:
    """Nobody outside sees the first write before the commit, and everybody both after it."""
    async with database.unit_of_work() as work:
        await add(database, "a")
        await add(database, "b")
        async with database.reading() as session:
            assert await tenants(session) == 2
        await work.commit()
    async with database.reading() as session:
        assert await tenants(session) == 2


async def test_a_unit_that_is_not_committed_leaves_nothing(database: Database) -> None:
    """An answer that failed undoes what was written for it."""
    with pytest.raises(LookupError):
        async with database.unit_of_work():
            await add(database, "a")
            raise LookupError
    async with database.reading() as session:
        assert await tenants(session) == 0


async def test_what_waits_for_the_commit_happens_after_it_only(database: Database) -> None:
    """A bell rung before the commit would wake a worker that finds nothing."""
    rung: list[int] = []

    async def ring() -> None:
        async with database.reading() as session:
            rung.append(await tenants(session))

    async with database.unit_of_work() as work:
        await add(database, "a")
        await database.when_committed(ring)
        assert rung == []
        await work.commit()
    assert rung == [1]
    async with database.unit_of_work():
        await add(database, "b")
        await database.when_committed(ring)
    assert rung == [1]
    await database.when_committed(ring)
    assert rung == [1, 1]


async def test_a_swallowed_failure_dooms_the_unit(database: Database) -> None:
    """Half a service's work is never committed because somebody caught the error."""
    async with database.unit_of_work() as work:
        with pytest.raises(LookupError):
            async with database.transaction() as session:
                session.add(tenant("a"))
                raise LookupError
        with pytest.raises(RuntimeError):
            await work.commit()
    async with database.reading() as session:
        assert await tenants(session) == 0


async def test_an_independent_transaction_outlives_the_failure(database: Database) -> None:
    """What must be remembered of a refused request is committed by itself."""
    with pytest.raises(LookupError):
        async with database.unit_of_work():
            await add(database, "kept", independent=True)
            raise LookupError
    async with database.reading() as session:
        assert await tenants(session) == 1


async def test_an_independent_transaction_after_the_units_writes_is_refused(database: Database) -> None:
    """On SQLite the two would wait for one another; the mistake shows at once, on every database."""
    async with database.unit_of_work():
        await add(database, "a")
        with pytest.raises(RuntimeError):
            await add(database, "b", independent=True)


async def test_after_the_commit_transactions_are_on_their_own(database: Database) -> None:
    """A handler that goes on after its promise is kept writes in transactions of its own."""
    async with database.unit_of_work() as work:
        await add(database, "a")
        await work.commit()
        await add(database, "b")
    async with database.reading() as session:
        assert await tenants(session) == 2


async def test_one_query_reads_what_is_true_and_what_its_own_unit_wrote(database: Database) -> None:
    """Before the commit only the unit itself finds its row; from the commit on everybody does."""
    query = select(TenantRow.id)
    assert await database.rows(query) == []
    async with database.unit_of_work() as work:
        await add(database, "a")
        assert [row.id for row in await database.rows(query)] == ["a"]
        outside = asyncio.create_task(database.rows(query), context=Context())
        assert await outside == []
        await work.commit()
        assert [row.id for row in await database.rows(query)] == ["a"]
