"""What was read stays true until somebody commits; SQLite tells in microseconds whether somebody has."""

import sqlite3
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar, cast

Member = TypeVar("Member", bound=Hashable)
Result = TypeVar("Result")

# A page of a list may hold a megabyte of its users' metadata.
_KEPT = 64
# What is read of single members is small.
_MEMBERS_KEPT = 10_000


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
        version = self._renewed()
        if key in self._results:
            self._results.move_to_end(key)
            return cast(Result, self._results[key])
        result = await read()
        if self._is_still(version):
            self._keep(key, result)
        return result

    async def unchanged_of(
        self,
        key: Hashable,
        members: Sequence[Member],
        read: Callable[[Sequence[Member]], Awaitable[Mapping[Member, Result]]],
    ) -> dict[Member, Result]:
        """Return what `read` returns of `members`, calling it for those alone that were not asked for before."""
        version = self._renewed()
        known: dict[Member, Result | None] = self._results.get(key, {})
        unknown = [member for member in members if member not in known]
        if unknown:
            found = await read(unknown)
            read_now = {member: found.get(member) for member in unknown}  # None tells that there is nothing of it
            if self._is_still(version):
                kept = self._results.get(key, {})
                self._keep(key, {**(kept if len(kept) < _MEMBERS_KEPT else {}), **read_now})
            known = {**known, **read_now}
        return {member: result for member in members if (result := known[member]) is not None}

    def _renewed(self) -> int | None:
        """Return the version of what is to be read, asked before: what is committed meanwhile makes a result old."""
        version = self._data_version()
        if version is None or version != self._version:
            self._results.clear()
            self._version = version
        return version

    def _is_still(self, version: int | None) -> bool:
        return version is not None and version == self._version  # nobody found a newer one meanwhile

    def _keep(self, key: Hashable, result: Any) -> None:
        self._results[key] = result
        self._results.move_to_end(key)
        if len(self._results) > _KEPT:
            self._results.popitem(last=False)

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
