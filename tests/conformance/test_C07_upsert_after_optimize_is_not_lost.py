"""C07: an upsert after `optimize` updates what it says it updates (lancedb #3177, PR 3612)."""

from datetime import timedelta
from pathlib import Path

import pytest

from core.ids import DocumentId
from stores.lance import LanceStore, indexes
from tests.factories.chunks import EMBEDDER, TENANT, cut, put


async def test_C07_upsert_after_optimize_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every index the table can have, upserts around compactions change each chunk exactly as planned."""
    monkeypatch.setattr(indexes, "INDEX_FROM_ROWS", 300)
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    texts = {f"d{number}": [f"word{number} part {part}" for part in range(8)] for number in range(50)}
    await put(table, *(cut(document, parts) for document, parts in texts.items()))
    assert set(await table.ensure_indexes()) == {"vector", "terms", "document_id"}
    for turn in range(2, 6):
        await table.optimize(timedelta(0) if turn % 2 else timedelta(days=1))
        for number in range(0, 50, 10):
            document = f"d{number}"
            texts[document][turn] = f"word{number} rewritten {turn}"

            report = await put(table, cut(document, texts[document], revision=turn))

            assert (report.inserted, report.updated, report.deleted) == (1, 7, 1)
            stored = await table.document_chunks(DocumentId(document), skip=0, limit=100)
            assert stored["text"].to_pylist() == texts[document]
            assert set(stored["revision"].to_pylist()) == {turn}
    assert len(set(await table.chunk_ids())) == await table.count() == 400
