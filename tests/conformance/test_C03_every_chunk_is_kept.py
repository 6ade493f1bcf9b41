"""C03: every chunk of a document is stored, not just the last (llama_index PR 22046)."""

from pathlib import Path

from stores.lance import LanceStore
from tests.factories.chunks import EMBEDDER, TENANT, cut, put


async def test_C03_every_chunk_is_kept(tmp_path: Path) -> None:
    """n chunks produced are n stored, and each is found, for n from 1 to 500, even where all texts are the same."""
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    total = 0
    for n in (1, 2, 3, 5, 8, 13, 31, 64, 100, 255, 256, 257, 499, 500):
        different = cut(f"different-{n}", [f"part {part} of {n}" for part in range(n)])
        alike = cut(f"alike-{n}", ["the same words"] * n)

        report = await put(table, different, alike)

        assert report.inserted == 2 * n
        total += 2 * n
        stored = {found.document_id: found.chunks for found in await table.stored_documents()}
        assert (stored[different.document.document_id], stored[alike.document.document_id]) == (n, n)
    assert await table.count() == len(set(await table.chunk_ids())) == total
