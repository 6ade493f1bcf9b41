"""Maintenance makes a table small, fast and equal to SQL, and never takes what is about to be finished."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from core.ids import DocumentId
from pipelines.index.maintenance import Living, maintain, reconcile, tidy
from stores.lance import ChunkTable, LanceStore, indexes
from stores.lance.predicates import HasTerm
from stores.lance.terms import value_term
from tests.factories.chunks import EMBEDDER, TENANT, cut, held, put

A_DAY = timedelta(days=1)


def living(documents: Mapping[str, int]) -> Living:
    async def answer() -> Mapping[DocumentId, int]:
        return {DocumentId(document_id): revision for document_id, revision in documents.items()}

    return answer


async def test_what_sql_does_not_know_goes(table: ChunkTable) -> None:
    """Chunks of deleted documents and of overtaken revisions are removed, and nothing else is."""
    await put(table, cut("kept", ["1"], revision=2), cut("deleted", ["2"]), cut("overtaken", ["3"], revision=4))
    await put(table, cut("unfinished", ["4"]), cut("ahead", ["5"], revision=7))

    removed = await reconcile(table, living({"kept": 2, "overtaken": 5, "unfinished": 0, "ahead": 6}))

    assert removed == 2
    assert [document for document, _, _ in await held(table)] == ["ahead", "kept", "unfinished"]


async def test_a_document_posted_meanwhile_is_safe(table: ChunkTable) -> None:
    """SQL is asked after the table was read, so a document indexed in between is never mistaken for a deleted one."""
    await put(table, cut("old", ["1"]))

    async def posts_and_answers() -> Mapping[DocumentId, int]:
        answer = {DocumentId("old"): 1}
        await put(table, cut("new", ["2"]))
        return answer

    assert await reconcile(table, posts_and_answers) == 0
    assert [document for document, _, _ in await held(table)] == ["new", "old"]


async def test_maintenance_compacts_folds_and_forgets(table: ChunkTable) -> None:
    """Thirty commits become one fragment, no row is left unindexed, and old versions are gone."""
    for number in range(30):
        await put(table, cut(f"d{number}", [f"needle {number}"]))

    report = await maintain(table, living({f"d{number}": 1 for number in range(30)}), retain=timedelta(0))

    assert (report.before.fragments, report.after.fragments) == (30, 1)
    assert (report.before.unindexed_rows, report.after.unindexed_rows) == (30, 0)
    assert report.after.versions < report.before.versions
    assert report.removed_chunks == 0
    assert (await table.search_text("needle", 100)).num_rows == 30


@pytest.mark.parametrize(("commits", "chunks"), [(13, 1), (3, 8)])
async def test_a_short_tail_is_left_alone(table: ChunkTable, commits: int, chunks: int) -> None:
    """Tidying waits until fragments or rows are too many, then does it."""
    for number in range(commits):
        assert not await tidy(table, retain=A_DAY)
        await put(table, cut(f"d{number}", [f"text {part}" for part in range(chunks)]))

    assert await tidy(table, retain=A_DAY)
    assert not await tidy(table, retain=A_DAY)
    tail = await table.tail()
    assert (tail.fragments, tail.unindexed_rows, tail.table_rows) == (1, 0, commits * chunks)


async def test_a_grown_table_gains_its_indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the threshold vectors, terms and documents are indexed, and every search finds what it found before."""
    monkeypatch.setattr(indexes, "INDEX_FROM_ROWS", 600)
    table = await LanceStore(tmp_path / "lance", resident_bytes=0).open_table(TENANT, EMBEDDER.space, 64)
    texts = [f"topic{number % 25} word{number}" for number in range(1200)]
    documents = [cut(f"d{n}", texts[n * 12 : n * 12 + 12], metadata={"group": n % 10}) for n in range(100)]
    await put(table, *documents)
    where = HasTerm(value_term("group", 4))
    question = EMBEDDER.embed(["topic7 word107"])[0]
    before = [await table.search_vector(question, 5, each) for each in (None, where)]

    report = await maintain(table, living({f"d{n}": 1 for n in range(100)}), retain=A_DAY)
    assert set(report.new_indexes) == {"vector", "terms", "document_id"}
    after = [await table.search_vector(question, 5, each) for each in (None, where)]

    assert after[0]["chunk_id"][0].as_py() == before[0]["chunk_id"][0].as_py()
    for found, again in zip(before, after, strict=True):
        np.testing.assert_allclose(found["similarity"][0].as_py(), again["similarity"][0].as_py(), atol=1e-4)
    assert await table.count(where) == 120
    # What comes after is found before it is folded in.
    await put(table, cut("late", ["topic7 word107 unseen"], metadata={"group": 4}))
    assert (await table.search_text("unseen", 5)).num_rows == 1
    assert "late" in (await table.search_vector(question, 100, where))["document_id"].to_pylist()
    assert await table.count(where) == 121
    assert await table.delete_documents([DocumentId("late")]) == 1


async def test_who_only_reads_makes_no_index_of_a_grown_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question must not wait while it builds what is the lease holder's to build; it finds everything without."""
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, 64)
    await put(table, *(cut(f"d{number}", [f"word{number}"]) for number in range(300)))
    monkeypatch.setattr(indexes, "INDEX_FROM_ROWS", 200)
    reader = await LanceStore(tmp_path / "lance", resident_bytes=0).find_table(TENANT, EMBEDDER.space, 64)
    assert reader is not None
    found = await reader.search_vector(EMBEDDER.embed(["word7"])[0], 1)
    assert found["document_id"].to_pylist() == ["d7"]
    assert set(await table.ensure_indexes()) == {"vector", "terms", "document_id"}  # nobody had made them
