"""C08: a search returns each chunk once and only as it is now (lance PR 6514)."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from stores.lance import LanceStore, indexes
from tests.factories.chunks import EMBEDDER, TENANT, cut, put


@pytest.mark.parametrize("resident_bytes", [0, 2**28])
async def test_C08_indexes_hold_no_stale_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident_bytes: int
) -> None:
    """After revisions of every document, words that went are not found, and what stayed is found once."""
    monkeypatch.setattr(indexes, "INDEX_FROM_ROWS", 300)
    store = LanceStore(tmp_path / "lance", resident_bytes=resident_bytes)
    table = await store.open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    names = [f"d{number}" for number in range(40)]
    for turn in range(1, 4):
        await put(
            table, *(cut(n, [f"stays {n} {i}" for i in range(9)] + [f"turn{turn} {n}"], revision=turn) for n in names)
        )
        await table.ensure_indexes()
        await table.optimize(timedelta(days=1))
    await put(table, *(cut(n, [f"stays {n} {i}" for i in range(9)] + [f"turn4 {n}"], revision=4) for n in names[:20]))

    for gone in ("turn1", "turn2"):
        assert (await table.search_text(gone, 1000)).num_rows == 0
    assert (await table.search_text("turn3", 1000)).num_rows == 20
    assert (await table.search_text("turn4", 1000)).num_rows == 20
    for found in (
        await table.search_text("stays", 1000),
        await table.search_vector(EMBEDDER.embed(["stays d3 4"])[0], 1000),
    ):
        assert set(Counter(found["chunk_id"].to_pylist()).values()) == {1}
        revisions = dict(zip(found["document_id"].to_pylist(), found["revision"].to_pylist(), strict=True))
        assert all(revision == (4 if document in names[:20] else 3) for document, revision in revisions.items())
