"""Small tables kept whole in memory: a search among a thousand chunks is then one matrix product, not a query plan.

It rests on one property of Lance: a row never changes in place. An update writes a new row with a new row id, so what
was once read under a row id stays true of it, and after a commit only the new rows have to be read.
"""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

RowIds = NDArray[np.uint64]

# What a row is reckoned to take besides its vector, before it has been read.
_TEXT_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Resident:
    """All rows of a table at `version` or later. `rows` and `units` (vectors of length 1) are in order of `row_ids`."""

    version: int
    row_ids: RowIds
    units: NDArray[np.float32]
    rows: pa.Table

    @classmethod
    def of(cls, version: int, read: pa.Table) -> "Resident":
        """Make one from what was read: `row_id`, `vector` and whatever is to be shown."""
        read = read.sort_by("row_id").combine_chunks()
        flat = read["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.reshape(read.num_rows, -1) if read.num_rows else np.zeros((0, 1), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return cls(version, read["row_id"].to_numpy(), units, read.drop_columns(["row_id", "vector"]))

    @property
    def size_bytes(self) -> int:
        return int(self.row_ids.nbytes + self.units.nbytes + self.rows.nbytes)

    def places(self, row_ids: RowIds) -> NDArray[np.int64] | None:
        """Return where these rows are, or None if one of them is not here."""
        places = np.searchsorted(self.row_ids, row_ids)
        here = places < len(self.row_ids)
        if not here.all() or not (self.row_ids[places] == row_ids).all():
            return None
        return places

    def take(self, places: NDArray[np.int64], columns: list[str]) -> pa.Table:
        """Return `row_id` and these columns; `vector` is of length 1."""
        plain = [name for name in columns if name != "vector"]
        taken = self.rows.select(plain).take(pa.array(places)).append_column("row_id", pa.array(self.row_ids[places]))
        if "vector" in columns:
            block = self.units[places]
            taken = taken.append_column(
                "vector", pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), self.units.shape[1])
            )
        return taken

    def nearest(
        self, vector: NDArray[np.float32], limit: int, allowed: RowIds | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return places and cosines of the `limit` nearest rows, nearest first; `allowed` narrows them to some."""
        length = float(np.linalg.norm(vector))
        if not len(self.row_ids) or length == 0.0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        choice = np.arange(len(self.row_ids)) if allowed is None else np.flatnonzero(np.isin(self.row_ids, allowed))
        # Not `@`: BLAS splits it over threads that wait for each other, and for whoever else has the core meanwhile.
        cosines = np.einsum("ij,j->i", self.units, vector / length)[choice]
        if limit < len(choice):
            best = np.argpartition(-cosines, limit)[:limit]
            choice, cosines = choice[best], cosines[best]
        order = np.argsort(-cosines, kind="stable")
        return choice[order], cosines[order]


class ResidentCache:
    """The small tables of one process, least recently used first out. No table gets more than a quarter of it."""

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._held: OrderedDict[str, Resident] = OrderedDict()

    def admits(self, rows: int, dimensions: int) -> bool:
        """Whether a table of this size is small enough to be kept."""
        return rows * (4 * dimensions + _TEXT_BYTES) <= self._budget_bytes // 4

    def get(self, name: str) -> Resident | None:
        if name in self._held:
            self._held.move_to_end(name)
        return self._held.get(name)

    def put(self, name: str, resident: Resident) -> None:
        self._held[name] = resident
        self._held.move_to_end(name)
        while sum(held.size_bytes for held in self._held.values()) > self._budget_bytes:
            self._held.popitem(last=False)

    def drop(self, name: str) -> None:
        self._held.pop(name, None)
