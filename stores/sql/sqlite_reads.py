"""One SELECT on SQLite in one change of threads. The async driver changes them for each of the nine steps of a read."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVarTuple

from sqlalchemy import URL, Row, Select, create_engine, event

Columns = TypeVarTuple("Columns")


class SqliteReads:
    """Connections of its own that can write nothing, and as many threads. What is committed is seen at once."""

    def __init__(self, url: URL, *, threads: int, busy_milliseconds: int) -> None:
        self._engine = create_engine(url.set(drivername="sqlite"), pool_size=threads, max_overflow=0)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sqlite-read")

        @event.listens_for(self._engine, "connect")
        def set_pragmas(connection: Any, _record: Any) -> None:
            connection.execute(f"PRAGMA busy_timeout={busy_milliseconds}")
            connection.execute("PRAGMA query_only=ON")

    async def rows(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, query)

    def _read(self, query: Select[*Columns]) -> Sequence[Row[*Columns]]:
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def close(self) -> None:
        """Let go of the file; reads that are under way end first."""
        self._threads.shutdown()
        self._engine.dispose()
