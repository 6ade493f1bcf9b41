"""Which indexes a table has at which size."""

from datetime import timedelta
from typing import Any

from lancedb.index import FTS, BTree, IvfRq, LabelList

from stores.lance.conflict import retried
from stores.lance.driver import LanceTable

# Below this a scan is as fast as an index and exact (see benchmarks/README.md).
INDEX_FROM_ROWS = 20_000

# IVF_RQ keeps one bit a dimension; ten times the wanted number is fetched and ranked again by the real vectors.
REFINE_FACTOR = 10

_PATIENCE = timedelta(minutes=30)


def _text_index() -> FTS:
    # ICU finds words in every script, also in those that put no spaces; stems and stop words are English.
    # No positions: nothing asks for phrases, and they double the index.
    return FTS(base_tokenizer="icu", language="English", stem=True, remove_stop_words=True, with_position=False)


async def ensure_indexes(table: LanceTable) -> list[str]:
    """Create the indexes that a table of this size should have and lacks; return the columns they are on."""
    wanted: dict[str, Any] = {"text": _text_index()}
    if await table.count_rows() >= INDEX_FROM_ROWS:
        wanted |= {"vector": IvfRq(distance_type="cosine"), "terms": LabelList(), "document_id": BTree()}
    missing = [column for column in wanted if column not in await indexed_columns(table)]
    for column in missing:
        await _create(table, column, wanted[column])
    return missing


async def indexed_columns(table: LanceTable) -> set[str]:
    return {column for index in await table.list_indices() for column in index.columns}


async def unindexed_rows(table: LanceTable) -> int:
    """Return how many rows the worst index does not know yet; a search scans those."""
    statistics = [await table.index_stats(index.name) for index in await table.list_indices()]
    return max((found.num_unindexed_rows for found in statistics if found is not None), default=0)


async def _create(table: LanceTable, column: str, config: Any) -> None:
    async def create() -> None:
        if column in await indexed_columns(table):
            return
        try:
            await table.create_index(column, config=config, replace=False, wait_timeout=_PATIENCE)
        except RuntimeError:
            if column not in await indexed_columns(table):
                raise
            # another process was quicker

    await retried(table, create)
