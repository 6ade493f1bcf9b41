"""Reads of SQLite in one change of threads. The async driver changes them for each of the nine steps of a read."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import URL, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

Result = TypeVar("Result")


class SqliteReads:
    """Connections of its own that can write nothing, and as many threads. What is committed is seen at once."""

    def __init__(self, url: URL, *, threads: int, busy_milliseconds: int) -> None:
        self._engine = create_engine(url.set(drivername="sqlite"), pool_size=threads, max_overflow=0)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite-read")

        @event.listens_for(self._engine, "connect")
        def set_pragmas(connection: Any, _record: Any) -> None:
            connection.isolation_level = None
            connection.execute(f"PRAGMA busy_timeout={busy_milliseconds}")
            connection.execute("PRAGMA query_only=ON")

        @event.listens_for(self._engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN DEFERRED")  # all that one call reads is of one moment

    async def read(self, reading: Callable[[Session], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, reading)

    def _read(self, reading: Callable[[Session], Result]) -> Result:
        with self._sessions() as session:
            return reading(session)

    def close(self) -> None:
        """Let go of the file; reads that are under way end first."""
        self._threads.shutdown()
        self._engine.dispose()
