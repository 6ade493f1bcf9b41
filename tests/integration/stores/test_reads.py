"""The cheap ways to read see what was committed, all of it and nothing else."""

import asyncio
import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import TenantRow


def tenant(name: str) -> TenantRow:
    return TenantRow(id=TenantId(new_id()), name=name, created_at=SystemClock().now())


async def add(database: Database, name: str) -> None:
    async with database.transaction() as session:
        session.add(tenant(name))


async def names(database: Database) -> list[str]:
    return [name for (name,) in await database.rows(select(TenantRow.name).order_by(TenantRow.name))]


async def test_all_that_one_reading_finds_is_of_one_moment(database: Database, database_url: str) -> None:
    """A commit between two queries of a reading shows in neither of them, or in both."""

    def count_twice(session: Session) -> tuple[int, int]:
        query = select(func.count()).select_from(TenantRow)
        first = session.execute(query).scalar_one()
        with ThreadPoolExecutor() as threads:  # on PostgreSQL this runs in the thread of the loop, which must go on
            threads.submit(lambda: asyncio.run(_add_apart(database_url))).result(timeout=10)
        return first, session.execute(query).scalar_one()

    assert await database.read(count_twice) == (0, 0)
    assert await names(database) == ["between"]


async def _add_apart(database_url: str) -> None:
    other = Database(database_url)
    await add(other, "between")
    await other.dispose()


async def test_a_reading_inside_a_unit_sees_what_the_unit_wrote(database: Database) -> None:
    """And nobody else does before the commit."""
    async with database.unit_of_work() as work:
        async with database.transaction() as session:
            session.add(tenant("mine"))
        assert await names(database) == ["mine"]
        assert await asyncio.create_task(_outside(database), context=contextvars.Context()) == []
        await work.commit()
    assert await names(database) == ["mine"]


async def _outside(database: Database) -> list[str]:
    other = Database(database.url.render_as_string(hide_password=False))
    try:
        return await names(other)
    finally:
        await other.dispose()


async def test_what_is_remembered_is_never_older_than_the_last_commit(database: Database, database_url: str) -> None:
    """Of 50 commits by another connection, each is seen by the next look; SQLite is read once for each."""
    other = Database(database_url)
    reads = 0

    async def read() -> list[str]:
        nonlocal reads
        reads += 1
        return await names(database)

    try:
        for number in range(50):
            await add(other, f"{number:02}")
            for _ in range(3):
                assert len(await database.unchanged("names", read)) == number + 1
    finally:
        await other.dispose()
    assert reads == (50 if database.is_sqlite else 150)


async def test_a_read_that_a_commit_overtook_is_not_remembered(database: Database, database_url: str) -> None:
    """What was read before a commit and returned after it is true for its caller only."""
    other = Database(database_url)

    async def read_slowly() -> list[str]:
        found = await names(database)
        await add(other, "meanwhile")
        return found

    try:
        assert await database.unchanged("names", read_slowly) == []
        assert await database.unchanged("names", lambda: names(database)) == ["meanwhile"]
    finally:
        await other.dispose()


async def test_keys_do_not_share_results(database: Database) -> None:
    """Equal questions share one, different ones do not."""

    async def said(word: str) -> str:
        return word

    assert await database.unchanged(("a", 1), lambda: said("first")) == "first"
    assert await database.unchanged(("a", 2), lambda: said("second")) == "second"


async def test_members_are_read_once_each_and_never_older_than_the_last_commit(
    database: Database, database_url: str
) -> None:
    """What there is nothing of is remembered as well; a commit by another connection makes all of it unknown."""
    other = Database(database_url)
    asked: list[str] = []

    async def among(names_asked: Sequence[str]) -> dict[str, int]:
        asked.extend(names_asked)
        found = await names(database)
        return {name: 0 for name in names_asked if name in found}

    try:
        await add(other, "a")
        assert await database.unchanged_of("names", ["a", "b"], among) == {"a": 0}
        assert await database.unchanged_of("names", ["b", "a"], among) == {"a": 0}
        assert await database.unchanged_of("names", ["a", "c"], among) == {"a": 0}
        assert asked == (["a", "b", "c"] if database.is_sqlite else ["a", "b", "b", "a", "a", "c"])
        await add(other, "b")
        assert await database.unchanged_of("names", ["a", "b"], among) == {"a": 0, "b": 0}
    finally:
        await other.dispose()


async def test_members_that_a_commit_overtook_are_not_remembered(database: Database, database_url: str) -> None:
    """What was read before a commit and returned after it is true for its caller only."""
    other = Database(database_url)

    async def slowly(names_asked: Sequence[str]) -> dict[str, int]:
        found = await names(database)
        await add(other, "meanwhile")
        await database.unchanged("something else", lambda: names(database))  # finds the new version first
        return {name: 0 for name in names_asked if name in found}

    async def at_once(names_asked: Sequence[str]) -> dict[str, int]:
        found = await names(database)
        return {name: 0 for name in names_asked if name in found}

    try:
        assert await database.unchanged_of("names", ["meanwhile"], slowly) == {}
        assert await database.unchanged_of("names", ["meanwhile"], at_once) == {"meanwhile": 0}
    finally:
        await other.dispose()
