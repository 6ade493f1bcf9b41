"""What was read stays true until somebody commits; SQLite tells in microseconds whether somebody has."""

import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast

Result = TypeVar("Result")

# A page of a list may hold a megabyte of its users' metadata.
_KEPT = 64


class SqliteMemory:
    """Remembers results for as long as no process has committed anything to the file.

    `PRAGMA data_version` of a connection that writes nothing changes with every commit of every other connection. It
    reads shared memory and not the disk, so it may be asked on the event loop.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None
        self._results: OrderedDict[Hashable, Any] = OrderedDict()

    async def unchanged(self, key: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        """Return what `read` returned when it was last called for `key`, or call it if anything changed since."""
        version = self._data_version()  # before the read: what is committed meanwhile makes the result too old
        if version is None or version != self._version:
            self._results.clear()
            self._version = version
        elif key in self._results:
            self._results.move_to_end(key)
            return cast(Result, self._results[key])
        result = await read()
        if version is not None and version == self._version:  # nobody found a newer one while this one read
            self._results[key] = result
            if len(self._results) > _KEPT:
                self._results.popitem(last=False)
        return result

    def _data_version(self) -> int | None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._file, isolation_level=None, timeout=0)
                self._connection.execute("PRAGMA query_only=ON")
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:  # the file is locked for recovery, or this is another thread: then nothing is known
            return None

    def close(self) -> None:
        self._results.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
