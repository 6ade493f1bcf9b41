"""Which indexes a table has at which size."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from lancedb.index import FTS, BTree, IvfRq, LabelList

from stores.lance.conflict import retried
from stores.lance.driver import LanceTable

# Below this a search is served from memory, or by a scan that is about as fast as an index, and exact.
INDEX_FROM_ROWS = 20_000

# IVF_RQ keeps one bit a dimension; so many times the wanted number is fetched and ranked again by the real vectors.
# Of 100 wanted among 100,000: with 2 it finds 90 and all of the first ten, with 3 it finds 95, with 5 98, with 10 99
# in nearly three times the time of 3.
REFINE_FACTOR = 4

_PATIENCE = timedelta(minutes=30)


def _text_index() -> FTS:
    # ICU finds words in every script, also in those that put no spaces; stems and stop words are English.
    # No positions: nothing asks for phrases, and they double the index.
    return FTS(base_tokenizer="icu", language="English", stem=True, remove_stop_words=True, with_position=False)


async def ensure_indexes(table: LanceTable, *, reading: bool = False) -> list[str]:
    """Create the indexes that a table of this size should have and lacks; return the columns they are on.

    Whoever is only `reading` makes the one that no search of words goes without, which takes a moment on a new table.
    The others take seconds, and are for the holder of the table's lease.
    """
    wanted: dict[str, Any] = {"text": _text_index()}
    if not reading and await table.count_rows() >= INDEX_FROM_ROWS:
        wanted |= {"vector": IvfRq(distance_type="cosine"), "terms": LabelList(), "document_id": BTree()}
    missing = [column for column in wanted if column not in await indexed_columns(table)]
    for column in missing:
        await _create(table, column, wanted[column])
    return missing


async def indexed_columns(table: LanceTable) -> set[str]:
    return {column for index in await table.list_indices() for column in index.columns}


async def load_text_index(table: LanceTable) -> None:
    """Read the text index into memory; otherwise each word pays when it is first asked for, 2 ms of a question.

    Lance refuses now and then, where a search of a new index runs beside it. Searches find the same without.
    """
    for index in await table.list_indices():
        if index.columns == ["text"]:
            with suppress(RuntimeError):
                await table.prewarm_index(index.name)


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
