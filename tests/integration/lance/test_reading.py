"""Searches of one table: alike in memory and on disk, of this tenant only, and never put out by any words."""

import asyncio
import random
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from core.ids import DocumentId, TenantId
from stores.lance import ChunkTable, LanceStore
from stores.lance.predicates import HasTerm, Not, OneOf, Predicate
from stores.lance.terms import value_term
from tests.factories.chunks import EMBEDDER, TENANT, Cut, cut, put

WORDS = [f"word{number}" for number in range(60)]
STRANGER = TenantId("01930000-0000-7000-8000-000000000002")


def some_documents(dice: random.Random, revision: int = 1) -> list[Cut]:
    return [
        cut(
            f"d{number}",
            [" ".join(dice.choices(WORDS, k=12)) for _ in range(dice.randint(1, 9))],
            revision=revision,
            metadata={"group": number % 3},
        )
        for number in range(30)
    ]


def ranking(found: pa.Table, score: str) -> list[tuple[str, float]]:
    pairs = zip(found["chunk_id"].to_pylist(), found[score].to_pylist(), strict=True)
    return sorted(((chunk_id, round(value, 4)) for chunk_id, value in pairs), key=lambda pair: (-pair[1], pair[0]))


WHERE: list[Predicate | None] = [
    None,
    HasTerm(value_term("group", 1)),
    Not(HasTerm(value_term("group", 1))),
    OneOf("document_id", ("d3", "d4")),
    OneOf("document_id", ("nobody",)),
]


@pytest.mark.parametrize("where", WHERE)
async def test_memory_and_disk_answer_alike(table: ChunkTable, tmp_path: Path, where: Predicate | None) -> None:
    """Through commits, deletions and compaction, a table kept in memory finds what Lance's own plans find."""
    dice = random.Random(7)
    on_disk = await LanceStore(tmp_path / "lance", resident_bytes=0).open_table(TENANT, EMBEDDER.space, 64)
    await put(table, *some_documents(dice))
    for step in range(4):
        if step == 1:
            await put(table, *some_documents(dice, revision=2)[:7])
        if step == 2:
            await table.delete_documents([DocumentId("d3"), DocumentId("d9")])
        if step == 3:
            await table.optimize(timedelta(days=1))
        text = " ".join(dice.choices(WORDS, k=5))
        question = EMBEDDER.embed([text])[0]
        near = [await each.search_vector(question, 1000, where) for each in (table, on_disk)]
        assert ranking(near[0], "similarity") == ranking(near[1], "similarity")
        matching = [await each.search_text(text, 1000, where) for each in (table, on_disk)]
        assert ranking(matching[0], "bm25") == ranking(matching[1], "bm25")
        read = [
            (await each.read(found["row_id"].to_pylist())).sort_by("chunk_id").drop_columns("row_id").to_pylist()
            for each, found in zip((table, on_disk), near, strict=True)
        ]
        assert read[0] == read[1]


async def test_a_limit_keeps_the_best(table: ChunkTable, tmp_path: Path) -> None:
    """Asking for three brings the first three of asking for all."""
    await put(table, *some_documents(random.Random(3)))
    question = EMBEDDER.embed(["word1 word2 word3"])[0]

    everything = ranking(await table.search_vector(question, 1000), "similarity")
    best = ranking(await table.search_vector(question, 3), "similarity")

    assert [score for _, score in best] == [score for _, score in everything[:3]]


async def test_tenants_never_meet(store: LanceStore, table: ChunkTable) -> None:
    """The same text asked in another tenant's table finds that tenant's chunk alone."""
    theirs = await store.open_table(STRANGER, EMBEDDER.space, EMBEDDER.dimensions)
    await put(table, cut("mine", ["a shared sentence"]))
    await put(theirs, cut("theirs", ["a shared sentence"], tenant_id=STRANGER))
    question = EMBEDDER.embed(["a shared sentence"])[0]

    for mine, owner in ((table, "mine"), (theirs, "theirs")):
        assert (await mine.search_vector(question, 10))["document_id"].to_pylist() == [owner]
        assert (await mine.search_text("shared sentence", 10))["document_id"].to_pylist() == [owner]
    assert set(await table.chunk_ids()).isdisjoint(await theirs.chunk_ids())


@pytest.mark.parametrize("resident_bytes", [0, 2**28])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "the and of",
        "!!! \"' AND OR NOT (a:b) * ~2 ^3 \\",
        "😀👩‍👧",
        "\x00\u2028",
        "\ud800 half",
        "needle " * 1500,
        "x" * 10_000,
        "' OR 1=1; DROP TABLE chunks; --",
    ],
)
async def test_no_text_is_an_error(tmp_path: Path, text: str, resident_bytes: int) -> None:
    """Stop words, operators, quotes, emoji, half a surrogate pair, ten thousand letters: all are just words."""
    table = await LanceStore(tmp_path / "lance", resident_bytes=resident_bytes).open_table(TENANT, "hashed-64", 64)
    await put(table, cut("a", ["a needle in a haystack"]))
    await table.search_vector(EMBEDDER.embed(["x"])[0], 1)

    found = await table.search_text(text, 10)

    assert found.num_rows == int("needle" in text)


async def test_half_a_surrogate_pair_is_stored_as_a_question_mark(table: ChunkTable) -> None:
    """What UTF-8 cannot spell does not stop a document from being indexed."""
    await put(table, cut("a", ["bad \ud800 text"], source="na\udc80me", metadata={"k\ud800": "\udfff"}))

    chunk = (await table.document_chunks(DocumentId("a"), skip=0, limit=1)).to_pylist()[0]

    assert (chunk["text"], chunk["source"]) == ("bad ? text", "na?me")


async def test_chunks_are_listed_in_reading_order(table: ChunkTable) -> None:
    """A page of a document's chunks is a slice of its text, whatever order the rows lie in."""
    await put(table, cut("a", [f"part {number}" for number in range(30)]))
    await put(table, cut("a", [f"part {number}{'!' * (number % 2)}" for number in range(30)], revision=2))

    page = await table.document_chunks(DocumentId("a"), skip=10, limit=5)

    assert page["position"].to_pylist() == [10, 11, 12, 13, 14]
    assert page["text"].to_pylist() == ["part 10", "part 11!", "part 12", "part 13!", "part 14"]


async def test_many_opening_at_once_make_one_table(tmp_path: Path) -> None:
    """A tenant's first documents may arrive everywhere at once: all handles are of one table with one text index."""
    stores = [LanceStore(tmp_path / "lance") for _ in range(8)]
    tables = await asyncio.gather(*(each.open_table(TENANT, "hashed-64", 64) for each in stores))
    await put(tables[0], cut("a", ["needle"]))

    assert [await each.count() for each in tables] == [1] * 8
    assert [(await each.search_text("needle", 5)).num_rows for each in tables] == [1] * 8


async def test_a_table_keeps_its_dimensions(store: LanceStore, table: ChunkTable) -> None:
    """Another model under the same name is refused before it can write a vector of the wrong length."""
    with pytest.raises(ValueError, match="64 dimensions, not 128"):
        await store.open_table(TENANT, EMBEDDER.space, 128)


@pytest.mark.parametrize("bad", ["../other", "a/b", "a b", "", "x" * 100, "a_b", "ä"])
async def test_no_name_is_a_path(store: LanceStore, bad: str) -> None:
    """Tenant and space become part of a folder's name, so they may be nothing else."""
    with pytest.raises(ValueError, match="Not usable"):
        await store.open_table(TenantId(bad), "space", 4)
    with pytest.raises(ValueError, match="Not usable"):
        await store.open_table(TENANT, bad, 4)


def test_a_relative_path_is_refused() -> None:
    """LanceDB would take "db…" for its cloud."""
    with pytest.raises(ValueError, match="absolute"):
        LanceStore(Path("db"))
