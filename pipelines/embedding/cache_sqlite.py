"""The vector cache of a data folder: one SQLite file that several processes share, bounded, and free to be deleted."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.ids import DocumentId

Vector = NDArray[np.float32]
Use = tuple[DocumentId, bytes]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
    vector BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS uses (document TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (document, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_by_key ON uses (key);
"""
# Numbers only grow and only the oldest are deleted for want of room, so the newest bounds how many are kept.
_TOO_OLD = "number <= (SELECT max(number) FROM vectors) - ?"
_OF_THIS_DOCUMENT_ONLY = """
key IN (SELECT key FROM uses WHERE document = :document)
AND NOT EXISTS (SELECT 1 FROM uses WHERE uses.key = vectors.key AND document <> :document)
"""
_WAIT_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.005
# Below the number of parameters every build of SQLite accepts.
_KEYS_A_QUERY = 500


class SqliteVectorCache:
    """Oldest entries go first once there are more than `max_vectors` (384 dimensions: about 1.7 KB each).

    A connection a call: nothing is shared between threads or carried over a fork.
    """

    def __init__(self, path: Path, *, max_vectors: int = 200_000) -> None:
        self._path = path
        self._max_vectors = max_vectors

    def get_many(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors that are known, by key. Raises sqlite3.Error, OSError."""
        known: dict[bytes, Vector] = {}
        wanted = list(dict.fromkeys(keys))
        with self._connection() as connection:
            for start in range(0, len(wanted), _KEYS_A_QUERY):
                some = wanted[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some)
                known.update((key, np.frombuffer(vector, np.float32)) for key, vector in rows)
        return known

    def put_many(self, vectors: Mapping[bytes, Vector], uses: Iterable[Use] = ()) -> None:
        """Remember these vectors and uses, and forget the oldest beyond the bound. Raises sqlite3.Error, OSError."""
        rows = [(key, np.ascontiguousarray(vector, np.float32).tobytes()) for key, vector in vectors.items()]
        with self._connection() as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)", rows)
            connection.executemany("INSERT OR IGNORE INTO uses (document, key) VALUES (?, ?)", uses)
            old = f"SELECT key FROM vectors WHERE {_TOO_OLD}"
            connection.execute(f"DELETE FROM uses WHERE key IN ({old})", [self._max_vectors])
            connection.execute(f"DELETE FROM vectors WHERE {_TOO_OLD}", [self._max_vectors])

    def forget(self, document_ids: Sequence[DocumentId]) -> None:
        """Forget what these documents have used and no other does. Raises sqlite3.Error, OSError."""
        with self._connection() as connection, connection:
            for document_id in document_ids:
                of = {"document": document_id}
                connection.execute(f"DELETE FROM vectors WHERE {_OF_THIS_DOCUMENT_ONLY}", of)
                connection.execute("DELETE FROM uses WHERE document = :document", of)

    def documents(self) -> set[DocumentId]:
        """Return the documents of which something is remembered. Raises sqlite3.Error, OSError."""
        with self._connection() as connection:
            return {DocumentId(row[0]) for row in connection.execute("SELECT DISTINCT document FROM uses")}

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        try:
            _write_ahead(connection)
            # A power cut may lose the last vectors: they are computed again.
            connection.execute("PRAGMA synchronous = OFF")
            # What is deleted is overwritten: an erased text must not be recognisable in a free page.
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_SCHEMA)
            yield connection
        finally:
            connection.close()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have readers and a writer at once. The first of many at a new file makes it so, the others wait for it."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            # The one lock that SQLite does not wait for by itself: two that change the mode would wait for each other.
            if time.monotonic() > until:
                raise
            time.sleep(_LOOK_AGAIN_SECONDS)
