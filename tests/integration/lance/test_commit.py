"""A commit makes each document's chunks exactly those given, or changes nothing."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from core.errors import IndexingFailed
from core.ids import DocumentId
from stores.lance import ChunkTable, LanceStore
from tests.factories.chunks import EMBEDDER, TENANT, cut, held, put, rows


async def test_a_new_document_is_inserted(table: ChunkTable) -> None:
    """The first commit adds every chunk and says so."""
    report = await put(table, cut("a", ["one", "two", "three"]))

    assert (report.inserted, report.updated, report.deleted) == (3, 0, 0)
    assert await held(table) == [("a", 1, "one"), ("a", 1, "three"), ("a", 1, "two")]


async def test_a_revision_replaces_its_predecessor_in_one_version(table: ChunkTable) -> None:
    """Chunks that stayed are updated, new ones inserted, old ones deleted, and no reader sees a state in between."""
    await put(table, cut("a", ["one", "two", "three"]), cut("b", ["other"]))
    before = (await table.statistics()).versions

    report = await put(table, cut("a", ["one", "changed"], revision=2))

    assert (report.inserted, report.updated, report.deleted) == (1, 1, 2)
    assert await held(table) == [("a", 2, "changed"), ("a", 2, "one"), ("b", 1, "other")]
    assert (await table.statistics()).versions == before + 1


async def test_the_same_commit_twice_is_one(table: ChunkTable) -> None:
    """A worker that died after its commit is repeated by another without a trace."""
    await put(table, cut("a", ["one", "two"]))

    report = await put(table, cut("a", ["one", "two"]))

    assert (report.inserted, report.updated, report.deleted) == (0, 2, 0)
    assert await table.count() == 2


async def test_a_stale_writer_changes_nothing(table: ChunkTable) -> None:
    """A worker that slept through a later revision finds the table as it was, not even a new version."""
    await put(table, cut("a", ["new one", "new two"], revision=3))
    before = (await table.statistics()).versions

    report = await put(table, cut("a", ["old one", "new two", "old three"], revision=2))

    assert report.stale == {"a"}
    assert (report.inserted, report.updated, report.deleted) == (0, 0, 0)
    assert await held(table) == [("a", 3, "new one"), ("a", 3, "new two")]
    assert (await table.statistics()).versions == before


async def test_a_stale_document_does_not_hold_up_the_rest_of_its_batch(table: ChunkTable) -> None:
    """Of several documents in one commit only the overtaken one is left alone."""
    await put(table, cut("a", ["late"], revision=2))

    report = await put(table, cut("a", ["early"]), cut("b", ["fine"]))

    assert report.stale == {"a"}
    assert await held(table) == [("a", 2, "late"), ("b", 1, "fine")]


async def test_a_document_without_chunks_left_is_retired_all_the_same(table: ChunkTable) -> None:
    """A revision with no chunk, named only in `retire`, removes what was there."""
    await put(table, cut("a", ["one", "two"]))

    report = await table.commit(rows(cut("b", ["x"])), retire={DocumentId("a"): 2, DocumentId("b"): 1})

    assert (report.inserted, report.deleted) == (1, 2)
    assert await held(table) == [("b", 1, "x")]


async def test_many_documents_of_many_revisions_in_one_commit(table: ChunkTable) -> None:
    """A batch of hundreds of replaced documents does not exhaust the parser of its condition."""
    await put(table, *(cut(f"d{n}", ["old", "stays"], revision=n % 50 + 1) for n in range(600)))

    report = await put(table, *(cut(f"d{n}", ["new", "stays"], revision=n % 50 + 2) for n in range(600)))

    assert (report.inserted, report.updated, report.deleted) == (600, 600, 600)
    assert await table.count() == 1200


async def test_rows_without_a_column_are_refused(table: ChunkTable) -> None:
    """A merge of some columns would leave stale entries in the indexes, so it cannot be asked for."""
    partial = rows(cut("a", ["one"])).drop_columns(["metadata"])

    with pytest.raises(ValueError, match="full schema"):
        await table.commit(partial, retire={})


async def test_the_same_chunk_twice_is_refused(table: ChunkTable) -> None:
    """Which of two equal ids a merge would keep is undefined."""
    doubled = pa.concat_tables([rows(cut("a", ["one"])), rows(cut("a", ["one"]))])

    with pytest.raises(ValueError, match="twice"):
        await table.commit(doubled, retire={})


async def test_counts_that_differ_from_the_plan_are_a_failure(table: ChunkTable, tmp_path: Path) -> None:
    """If Lance reports anything but what was planned, the job fails loudly and is tried again."""
    await put(table, cut("a", ["one", "two"]))
    await _double_every_row(tmp_path / "lance", table.name)

    with pytest.raises(IndexingFailed) as failed:
        await put(table, cut("a", ["one", "three"], revision=2))

    assert failed.value.retryable


async def _double_every_row(folder: Path, name: str) -> None:
    """Do what no writer of ours does: add rows whose ids are there already."""
    import lancedb

    opened = await (await lancedb.connect_async(folder)).open_table(name)
    await opened.add(await opened.query().to_arrow())


async def test_a_reader_sees_the_commit_of_another_at_once(store: LanceStore, tmp_path: Path) -> None:
    """Another process has its own handle; its next search is of the newest version."""
    ours = await store.open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    theirs = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    question = EMBEDDER.embed(["needle"])[0]
    for number in range(5):
        await put(ours, cut("a", [f"needle {number}"], revision=number + 1))
        found = await theirs.search_vector(question, 10)
        assert (await theirs.read(found["row_id"].to_pylist()))["text"].to_pylist() == [f"needle {number}"]
        matched = await theirs.search_text("needle", 10)
        assert matched["revision"].to_pylist() == [number + 1]
        await ours.optimize(timedelta(days=1))
        assert (await theirs.search_vector(question, 10)).num_rows == 1
