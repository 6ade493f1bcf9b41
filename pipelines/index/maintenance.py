"""Keep a chunk table small, fast and equal to what SQL says. The caller holds the table's lease."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from core.ids import DocumentId
from stores.lance import ChunkTable, TableStatistics

Living = Callable[[], Awaitable[Mapping[DocumentId, int]]]
"""Returns every document that is not deleted with the revision queries may see, 0 while there is none."""

# A search opens every fragment and reads every row the indexes do not know: a hundred fragments slow it tenfold, and
# a thousand such rows cost a text search 50 to 80 ms. Folding them in costs processor time by the size of the table
# (0.2 s at 1,000 rows, 0.7 s at 10,000, 1.2 s at 40,000), so a large table waits for more of them.
_MOST_FRAGMENTS = 12
_MOST_UNINDEXED_ROWS = 20
_MOST_UNINDEXED_SHARE = 1 / 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceReport:
    before: TableStatistics
    after: TableStatistics
    removed_chunks: int
    """Chunks of deleted documents and of revisions that were followed by another."""
    new_indexes: list[str] = field(default_factory=list)


async def maintain(table: ChunkTable, living: Living, *, retain: timedelta) -> MaintenanceReport:
    """Remove what SQL does not know, compact, index, and forget versions older than `retain`."""
    before = await table.statistics()
    removed = await reconcile(table, living)
    new_indexes = await table.ensure_indexes()
    await table.optimize(retain)
    return MaintenanceReport(
        before=before, after=await table.statistics(), removed_chunks=removed, new_indexes=new_indexes
    )


async def reconcile(table: ChunkTable, living: Living) -> int:
    """Delete chunks of deleted documents and of overtaken revisions; return how many.

    `living` is asked after the table was read: whatever the table holds by then was posted before, so a document SQL
    does not know was deleted, and one it knows with revision 0 is about to be finished. Asked the other way round,
    a document posted in between would lose its chunks.
    """
    stored = await table.stored_documents()
    current = await living()
    overtaken: dict[DocumentId, int] = {}
    for found in stored:
        if found.revision < current.get(found.document_id, found.revision + 1):
            overtaken[found.document_id] = max(found.revision, overtaken.get(found.document_id, 0))
    return await table.delete_revisions(overtaken)


def most_unindexed_rows(table_rows: int) -> int:
    """Return how many rows of a table of this size may be outside the indexes before they are folded in."""
    return max(_MOST_UNINDEXED_ROWS, int(table_rows * _MOST_UNINDEXED_SHARE))


async def is_untidy(table: ChunkTable) -> bool:
    """Whether the indexes' tail has grown long enough to slow searches. Needs no lease."""
    tail = await table.tail()
    return tail.fragments > _MOST_FRAGMENTS or tail.unindexed_rows > most_unindexed_rows(tail.table_rows)


async def tidy(table: ChunkTable, *, retain: timedelta) -> bool:
    """Compact and fold the indexes' tail if it has grown long enough to slow searches; say whether it had."""
    if not await is_untidy(table):
        return False
    await table.ensure_indexes()
    await table.optimize(retain)
    return True
