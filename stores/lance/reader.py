"""Searching one table: from memory while it is small, through Lance's plans and indexes when it is not."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stores.lance.driver import LanceTable, words
from stores.lance.indexes import REFINE_FACTOR, load_text_index
from stores.lance.predicates import Predicate, to_sql
from stores.lance.resident import Resident, ResidentCache, RowIds
from stores.lance.schema import DISPLAY_COLUMNS, VERSION_COLUMNS

# Up to here a product takes well under a millisecond; a longer one must not hold up the event loop.
_NUMBERS_ON_THE_LOOP = 2_000_000


class ChunkReader:
    """Answers every search the same, whether the rows are in memory or not."""

    def __init__(self, name: str, table: LanceTable, dimensions: int, residents: ResidentCache) -> None:
        self._name = name
        self._table = table
        self._dimensions = dimensions
        self._residents = residents
        self._loading = asyncio.Lock()

    async def nearest(self, vector: NDArray[np.float32], limit: int, where: Predicate | None) -> pa.Table:
        """Return row_id, chunk_id, document_id, revision and similarity of the nearest rows."""
        resident = await self._resident()
        if resident is None:
            return await self._nearest_by_plan(vector, limit, where)
        allowed = None if where is None else await self._row_ids(where)
        if resident.units.size <= _NUMBERS_ON_THE_LOOP:
            places, cosines = resident.nearest(vector, limit, allowed)
        else:
            places, cosines = await asyncio.to_thread(resident.nearest, vector, limit, allowed)
        return resident.take(places, VERSION_COLUMNS).append_column("similarity", pa.array(cosines))

    async def matching(self, text: str, limit: int, where: Predicate | None) -> pa.Table:
        """Return row_id, chunk_id, document_id, revision, vector and bm25 of the rows that match best."""
        columns = [*VERSION_COLUMNS, "vector"]
        resident = self._residents.get(self._name)
        query = self._table.query().nearest_to_text(words(text.encode("utf-8", "replace").decode()))
        if where is not None:
            query = query.where(to_sql(where))
        chosen = ["_score"] if resident else [*columns, "_score"]
        found = _named(await query.with_row_id().select(chosen).limit(limit).to_arrow())
        if resident is None:
            return found
        taken = await self.take(found["row_id"].to_numpy(), columns)
        return taken.append_column("bm25", _scores(found, taken["row_id"].to_numpy()))

    async def take(self, row_ids: RowIds, columns: list[str]) -> pa.Table:
        """Return these rows, as far as they still exist, with their `row_id`; in no particular order."""
        resident = self._residents.get(self._name)
        places = None if resident is None else resident.places(row_ids)
        if resident is not None and places is not None:
            return resident.take(places, columns)
        query = self._table.take_row_ids(row_ids.tolist()).with_row_id().select(columns)
        return _named(await query.to_arrow())

    async def _nearest_by_plan(self, vector: NDArray[np.float32], limit: int, where: Predicate | None) -> pa.Table:
        query = self._table.query().nearest_to(vector).distance_type("cosine").refine_factor(REFINE_FACTOR)
        if where is not None:
            query = query.where(to_sql(where))
        found = _named(await query.with_row_id().select([*VERSION_COLUMNS, "_distance"]).limit(limit).to_arrow())
        similarity = pc.subtract(pa.scalar(1.0, pa.float32()), found["_distance"])
        return found.drop_columns("_distance").append_column("similarity", similarity)

    async def _row_ids(self, where: Predicate) -> RowIds:
        found = await self._table.query().where(to_sql(where)).with_row_id().select(["revision"]).to_arrow()
        return np.asarray(found["_rowid"].to_numpy(), np.uint64)

    async def _resident(self) -> Resident | None:
        """Return the table's rows if it is small, read anew as far as they are not those of the newest version."""
        version = int(await self._table.version())
        held = self._residents.get(self._name)
        if held is not None and held.version >= version:
            return held
        if not self._residents.admits(await self._table.count_rows(), self._dimensions):
            self._residents.drop(self._name)
            return None
        async with self._loading:
            held = self._residents.get(self._name)
            if held is None or held.version < version:
                held = await self._load(held)
                await load_text_index(self._table)
                self._residents.put(self._name, held)
            return held

    async def _load(self, held: Resident | None) -> Resident:
        columns = [*DISPLAY_COLUMNS, "vector"]
        version = int(await self._table.version())  # asked first: what is read then is this version or a later one
        if held is not None:
            listed = await self._table.query().with_row_id().select(["revision"]).to_arrow()
            row_ids = np.asarray(listed["_rowid"].to_numpy(), np.uint64)
            kept = held.row_ids[np.isin(held.row_ids, row_ids)]
            new = np.setdiff1d(row_ids, held.row_ids)
            if len(kept):
                places = held.places(kept)
                assert places is not None  # it just had them
                read = [held.take(places, columns)]
                if len(new):
                    read.append(
                        _named(await self._table.take_row_ids(new.tolist()).with_row_id().select(columns).to_arrow())
                    )
                return await asyncio.to_thread(Resident.of, version, _joined(read))
        read_whole = _named(await self._table.query().with_row_id().select(columns).to_arrow())
        return await asyncio.to_thread(Resident.of, version, read_whole)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    names = tables[0].column_names
    return pa.concat_tables([table.select(names) for table in tables], promote_options="permissive")


def _scores(found: pa.Table, row_ids: RowIds) -> pa.Array:
    """Return the text score of each of these rows, all of them among those found."""
    known = found["row_id"].to_numpy()
    order = np.argsort(known)
    return pa.array(found["bm25"].to_numpy()[order[np.searchsorted(known, row_ids, sorter=order)]])


def _named(found: pa.Table) -> pa.Table:
    names = {"_rowid": "row_id", "_score": "bm25"}
    return found.rename_columns([names.get(name, name) for name in found.column_names])
