"""A worker process over the stores that its arguments name, with the random flows' node type. It is there to be killed.

python -m tests.integration.agents.killed_worker HOME DATABASE_URL WORLD LEASE_SECONDS
"""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

from stores.sql.engine import Database
from tests.factories.random_flows import types
from tests.integration.agents.workers import a_worker

SCHEMA = "CREATE TABLE IF NOT EXISTS calls (place TEXT, key TEXT, number INTEGER, at REAL)"


class WorldFile:
    """The world outside: it writes down who called it, when and with what key, and answers by the number alone."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")  # it outlives kills of ours, not power cuts

    async def __call__(self, where: str, key: str, number: int) -> int:
        await asyncio.sleep(0.002)
        self._connection.execute("INSERT INTO calls VALUES (?, ?, ?, julianday('now'))", [where, key, number])
        return number * 7 % 1000


async def main(home: Path, database_url: str, world: Path, lease_seconds: float) -> None:
    database = Database(database_url)
    async with a_worker(
        database,
        home,
        types=types(WorldFile(world)),
        owner=str(os.getpid()),
        in_flight=16,
        per_tenant=64,
        lease_seconds=lease_seconds,
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])))
