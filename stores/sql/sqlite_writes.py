"""Writes to SQLite in one change of threads. The async driver changes them for each of a dozen steps of a write."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

Result = TypeVar("Result")


class SqliteWrites:
    """One thread and one connection: writes follow one another anyhow."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")

    async def write(self, writing: Callable[[Session], Result]) -> Result:
        """Commit what `writing` does, or undo it if that raises. Once begun it is done, also if the caller is gone."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, writing)

    def _write(self, writing: Callable[[Session], Result]) -> Result:
        with self._sessions() as session, session.begin():
            return writing(session)

    def close(self) -> None:
        """Let go of the file; a write that is under way ends first."""
        self._thread.shutdown()
        self._engine.dispose()
