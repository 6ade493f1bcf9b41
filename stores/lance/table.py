"""One tenant's chunks in one embedding space: written by one lease holder at a time, searched by anyone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.ids import ChunkId, DocumentId
from stores.lance.conflict import retried
from stores.lance.driver import LanceTable
from stores.lance.indexes import ensure_indexes, unindexed_rows
from stores.lance.plan import CommitPlan, CommitReport, plan_commit, up_to_revision, wanted_revisions
from stores.lance.predicates import OneOf, Predicate, to_sql
from stores.lance.reader import ChunkReader
from stores.lance.resident import ResidentCache
from stores.lance.schema import DISPLAY_COLUMNS, VERSION_COLUMNS, chunk_schema

# Named in one condition; more are dealt with in turn.
_DOCUMENTS_AT_ONCE = 500
# Between asking for a version's age and pruning by it; compacting comes first.
_MARGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """A document as the index holds it; more than one revision of it is a fault that maintenance mends."""

    document_id: DocumentId
    revision: int
    chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatistics:
    rows: int
    unindexed_rows: int
    fragments: int
    versions: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How much of a table lies loose: what a search pays for until the next `optimize`."""

    fragments: int
    unindexed_rows: int
    table_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVersion:
    number: int
    committed_at: datetime


class ChunkTable:
    """Reads are always of the newest version. Writes want the table's lease, which is the caller's to hold."""

    def __init__(self, name: str, table: LanceTable, *, dimensions: int, residents: ResidentCache) -> None:
        self.name = name
        self.dimensions = dimensions
        self._table = table
        self._schema = chunk_schema(dimensions)
        self._reader = ChunkReader(name, table, dimensions, residents)

    async def commit(self, rows: pa.Table, *, retire: Mapping[DocumentId, int]) -> CommitReport:
        """Make the chunks of each document exactly those in `rows`, in one Lance commit.

        `rows` has the full schema and one revision per document; a document that is only in `retire` loses its chunks
        up to that revision. A document of which the table holds a later revision is left alone and reported as stale.
        Doing the same twice changes nothing more. Raises IndexingFailed if Lance reports anything but what was planned.
        """
        if not rows.schema.equals(self._schema):
            raise ValueError("Rows must have the full schema: an index would keep entries of columns left out.")
        wanted = wanted_revisions(rows, retire)

        async def write() -> CommitReport:
            plan = plan_commit(rows, wanted, await self._versions(list(wanted)))
            if not plan.changes_nothing:
                await self._merge(plan)
            return plan.report

        return await retried(self._table, write)

    async def _merge(self, plan: CommitPlan) -> None:
        merge = (
            self._table.merge_insert("chunk_id")
            .when_matched_update_all(where="target.revision <= source.revision")
            .when_not_matched_insert_all()
        )
        if plan.retired:  # joins the whole table, which a commit that only adds need not pay for
            merge = merge.when_not_matched_by_source_delete(to_sql(up_to_revision(plan.retired)))
        done = await merge.execute(plan.rows)
        plan.check(inserted=done.num_inserted_rows, updated=done.num_updated_rows, deleted=done.num_deleted_rows)

    async def _versions(self, document_ids: Sequence[DocumentId]) -> pa.Table:
        query = self._table.query().where(to_sql(OneOf("document_id", tuple(document_ids))))
        return await query.select(VERSION_COLUMNS).to_arrow()

    async def delete_documents(self, document_ids: Sequence[DocumentId]) -> int:
        """Delete every chunk of these documents; return how many there were."""
        return sum(
            [
                await self._delete(OneOf("document_id", tuple(document_ids[first : first + _DOCUMENTS_AT_ONCE])))
                for first in range(0, len(document_ids), _DOCUMENTS_AT_ONCE)
            ]
        )

    async def delete_revisions(self, documents: Mapping[DocumentId, int]) -> int:
        """Delete each document's chunks up to and including that revision; return how many there were."""
        pairs = list(documents.items())
        return sum(
            [
                await self._delete(up_to_revision(dict(pairs[first : first + _DOCUMENTS_AT_ONCE])))
                for first in range(0, len(pairs), _DOCUMENTS_AT_ONCE)
            ]
        )

    async def _delete(self, where: Predicate) -> int:
        async def write() -> int:
            if not await self.count(where):  # a deletion of nothing would still be a version
                return 0
            done = await self._table.delete(to_sql(where))
            return int(done.num_deleted_rows)

        return await retried(self._table, write)

    async def search_vector(self, vector: NDArray[np.float32], limit: int, where: Predicate | None = None) -> pa.Table:
        """Return the nearest chunks: row_id, chunk_id, document_id, revision, similarity (the cosine, −1..1)."""
        return await self._reader.nearest(vector, limit, where)

    async def search_text(self, text: str, limit: int, where: Predicate | None = None) -> pa.Table:
        """Return the best matches by BM25: row_id, chunk_id, document_id, revision, vector, bm25 (0 and up).

        `text` is words to look for; nothing in it is an operator.
        """
        return await self._reader.matching(text, limit, where)

    async def read(self, row_ids: Sequence[int]) -> pa.Table:
        """Return everything worth showing of the rows a search named.

        A row that is gone since, or that compaction gave another id, is left out.
        """
        return await self._reader.take(np.asarray(row_ids, np.uint64), DISPLAY_COLUMNS)

    async def vectors(self, row_ids: Sequence[int]) -> dict[int, NDArray[np.float32]]:
        """Return the vectors of the rows a search named, of some length, by row id; without rows that are gone."""
        read = await self._reader.take(np.asarray(row_ids, np.uint64), ["revision", "vector"])
        flat = read["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return dict(zip(read["row_id"].to_pylist(), flat.reshape(read.num_rows, self.dimensions), strict=True))

    async def document_chunks(self, document_id: DocumentId, *, skip: int, limit: int) -> pa.Table:
        """Return a document's chunks in reading order."""
        query = self._table.query().where(to_sql(OneOf("document_id", (document_id,))))
        return (await query.select(DISPLAY_COLUMNS).to_arrow()).sort_by("position").slice(skip, limit)

    async def stored_documents(self) -> list[StoredDocument]:
        """Return every document and revision the table holds chunks of."""
        read = await self._table.query().select(["document_id", "revision"]).to_arrow()
        groups = read.group_by(["document_id", "revision"]).aggregate([([], "count_all")]).to_pylist()
        return [
            StoredDocument(document_id=row["document_id"], revision=row["revision"], chunks=row["count_all"])
            for row in groups
        ]

    async def chunk_ids(self) -> list[ChunkId]:
        """Return the id of every chunk."""
        read = await self._table.query().select(["chunk_id"]).to_arrow()
        return [ChunkId(chunk_id) for chunk_id in read["chunk_id"].to_pylist()]

    async def count(self, where: Predicate | None = None) -> int:
        return int(await self._table.count_rows(None if where is None else to_sql(where)))

    async def statistics(self) -> TableStatistics:
        stored = await self._table.stats()
        return TableStatistics(
            rows=stored["num_rows"],
            unindexed_rows=await unindexed_rows(self._table),
            fragments=stored["fragment_stats"]["num_fragments"],
            versions=len(await self._table.list_versions()),
            size_bytes=stored["total_bytes"],
        )

    async def tail(self) -> Tail:
        stored = await self._table.stats()
        return Tail(
            fragments=stored["fragment_stats"]["num_fragments"],
            unindexed_rows=await unindexed_rows(self._table),
            table_rows=stored["num_rows"],
        )

    async def optimize(self, retain: timedelta) -> None:
        """Merge small fragments, fold new rows into the indexes, forget versions older than `retain`.

        What answered `retain` ago is kept, however long before it was committed, and so are a tagged version and every
        later one: Lance prunes by the age of commits alone, and refuses to prune at all where that would take a tag.
        """
        kept = max(retain, await self._age_of_oldest_kept(retain))
        await retried(self._table, lambda: self._table.optimize(cleanup_older_than=kept))

    async def _age_of_oldest_kept(self, retain: timedelta) -> timedelta:
        """Return the age of the oldest version that may not be pruned, with time to get to the pruning."""
        tagged = {tag["version"] for tag in (await self._table.tags.list()).values()}
        now = datetime.now(UTC)
        ages = {found.number: now - found.committed_at for found in await self.versions()}
        oldest_tagged = max((ages[number] for number in tagged if number in ages), default=None)
        # The newest of those that are older: it answered until the next one came, which is within `retain`.
        answered = min((age for age in ages.values() if age >= retain), default=None)
        return max(
            timedelta(0) if oldest_tagged is None else oldest_tagged + _MARGIN,
            timedelta(0) if answered is None else answered + min(retain, _MARGIN),
        )

    async def version(self) -> int:
        """Return the number of the newest version; of a snapshot, its own."""
        return int(await self._table.version())

    async def versions(self) -> list[TableVersion]:
        """Return every version that is kept, oldest first."""
        return [
            # Lance's times are of this machine's zone and do not say so.
            TableVersion(number=int(found["version"]), committed_at=found["timestamp"].astimezone(UTC))
            for found in await self._table.list_versions()
        ]

    async def tag(self, name: str, version: int) -> None:
        """Keep `version` for as long as the tag is there; a tag of that name moves."""
        tags = self._table.tags
        if name in await tags.list():
            await tags.update(name, version)
        else:
            await tags.create(name, version)

    async def untag(self, name: str) -> None:
        """Let a version go with its time, if it was tagged so."""
        tags = self._table.tags
        if name in await tags.list():
            await tags.delete(name)

    async def ensure_indexes(self) -> list[str]:
        """Create the indexes a table of this size should have; return the columns that gained one."""
        return await ensure_indexes(self._table)
