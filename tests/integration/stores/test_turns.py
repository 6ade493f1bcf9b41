"""Writers of SQLite pass their turn on, whatever befalls them."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stores.sql import sqlite_turns
from stores.sql.engine import Database
from tests.integration.stores.test_reads import add as add_slowly
from tests.integration.stores.test_reads import names
from tests.integration.stores.test_writes import add


@pytest.fixture(params=["sqlite"])
def database_url(database_url: str) -> str:
    """PostgreSQL has many writers: nobody takes turns."""
    return database_url


@pytest.fixture
def turns(database: Database) -> Path:
    """The file that is locked by whoever writes."""
    return Path(f"{database.url.database}-turns")


@contextmanager
def holder_of(turns: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has the turn."""
    program = f"import fcntl; f = open({str(turns)!r}, 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder


@contextmanager
def held(turns: Path) -> Iterator[None]:
    descriptor = os.open(turns, os.O_CREAT | os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


async def test_a_writer_waits_for_its_turn(database: Database, turns: Path) -> None:
    """Both kinds write when it is theirs, and not before."""
    with held(turns):
        writing = [
            asyncio.create_task(database.write(lambda writer: add(writer, "quick"))),
            asyncio.create_task(add_slowly(database, "slow")),
        ]
        done, _ = await asyncio.wait(writing, timeout=0.2)
        assert not done
        assert await names(database) == []
    await asyncio.gather(*writing)
    assert await names(database) == ["quick", "slow"]


async def test_who_gives_up_waiting_holds_up_nobody(database: Database, turns: Path) -> None:
    """Cancelled in the line or at its head: the next one writes."""
    with held(turns):
        waiting = [asyncio.create_task(add_slowly(database, str(number))) for number in range(3)]
        await asyncio.wait(waiting, timeout=0.1)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    await asyncio.wait_for(add_slowly(database, "next"), 2)
    assert await names(database) == ["next"]


async def test_a_failed_transaction_passes_the_turn_on(database: Database, turns: Path) -> None:
    """At once: nobody's patience is asked for."""
    for _ in range(2):
        with pytest.raises(LookupError):
            async with database.transaction():
                raise LookupError("no")
    with held(turns):
        pass
    await asyncio.wait_for(add_slowly(database, "next"), 2)
    assert await names(database) == ["next"]


async def test_the_turn_of_a_killed_process_is_free(database: Database, turns: Path) -> None:
    """The system lets go of it with the process."""
    with holder_of(turns) as holder:
        writing = asyncio.create_task(add_slowly(database, "after"))
        done, _ = await asyncio.wait([writing], timeout=0.1)
        assert not done
        holder.send_signal(signal.SIGKILL)
        await asyncio.wait_for(writing, 2)
    assert await names(database) == ["after"]


async def test_a_turn_that_never_ends_only_delays(
    database: Database, turns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stands still with it, SQLite's own lock is free: patience ends and the write is made."""
    monkeypatch.setattr(sqlite_turns, "_PATIENCE_SECONDS", 0.2)
    with held(turns):
        await asyncio.wait_for(add_slowly(database, "slow"), 5)
        await asyncio.wait_for(database.write(lambda writer: add(writer, "quick")), 5)
    assert await names(database) == ["quick", "slow"]
