"""C01: of two documents with the same content, deleting one leaves the other whole (llama_index #22706, #23002)."""

from pathlib import Path

import pytest

from core.ids import DocumentId
from stores.lance import LanceStore
from tests.factories.chunks import EMBEDDER, TENANT, cut, held, put

TEXTS = ["the same first part", "the same second part"]


@pytest.mark.parametrize(("deleted", "kept"), [("first", "second"), ("second", "first")])
async def test_C01_twins_are_deleted_one_at_a_time(tmp_path: Path, deleted: str, kept: str) -> None:
    """Whichever goes, its chunks are gone from rows, vectors and words, and the other's are all there."""
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    await put(table, cut("first", TEXTS))
    await put(table, cut("second", TEXTS))

    assert await table.delete_documents([DocumentId(deleted)]) == 2

    assert await held(table) == [(kept, 1, text) for text in TEXTS]
    near = await table.search_vector(EMBEDDER.embed(TEXTS)[0], 10)
    matching = await table.search_text("same part", 10)
    assert near["document_id"].to_pylist() == matching["document_id"].to_pylist() == [kept, kept]
