"""Whose turn it is to write to SQLite, passed on at once.

SQLite lets one write at a time, and whoever finds it busy looks again after 1, 2, 5, … 100 milliseconds: with a few
writers most of a write's time is sleep, and one of them may be unlucky for long. Here the writers of a process stand in
line, and the first of each process looks every millisecond. What keeps writers apart is SQLite's own lock still:
without a turn nothing is wrong, only slow.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_LOOKS_EVERY_SECONDS = 0.001
# Somebody who holds it for so long is stopped, perhaps. Then SQLite's lock alone decides.
_PATIENCE_SECONDS = 5.0


class SqliteTurns:
    """One for each database file, process and event loop."""

    def __init__(self, database: Path) -> None:
        self._file = database.with_name(f"{database.name}-turns")
        self._line = asyncio.Lock()
        self._descriptor: int | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        taken = await self.take()
        try:
            yield
        finally:
            if taken:
                self.give_back()

    async def take(self) -> bool:
        """Wait for the turn; whether it came, and is to be given back."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._line.acquire()
                try:
                    while not self._locked():
                        await asyncio.sleep(_LOOKS_EVERY_SECONDS)
                except BaseException:
                    self._line.release()
                    raise
        except TimeoutError:
            return False
        return True

    def give_back(self) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._line.release()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _locked(self) -> bool:
        if self._descriptor is None:
            self._descriptor = os.open(self._file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
