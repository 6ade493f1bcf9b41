"""A question, answered from a real table: by meaning, by words, by both; only what SQL says may be seen."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from core.errors import ValidationFailed
from core.ids import DocumentId
from pipelines.document import Hit
from pipelines.embedding.base import Vectors
from pipelines.retrieval.fuse import Fusion
from pipelines.retrieval.query import QueryRequest, Retrieved, SearchMode, Visible, retrieve, search
from pipelines.retrieval.rerank import Fallback, RerankFailed, Rerankings
from stores.lance import ChunkTable
from tests.factories.chunks import EMBEDDER, cut, put


def seeing(documents: Mapping[str, int]) -> Visible:
    async def visible(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        return {each: documents[each] for each in document_ids if each in documents}

    return visible


async def everything(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
    return dict.fromkeys(document_ids, 1)


async def ask(table: ChunkTable, query: str, visible: Visible = everything, **options: Any) -> list[Hit]:
    return await search(table, EMBEDDER, QueryRequest(query=query, **options), visible)


class RefusingEmbedder:
    """An embedder nobody should have asked."""

    space, dimensions, max_tokens = EMBEDDER.space, EMBEDDER.dimensions, EMBEDDER.max_tokens
    languages = EMBEDDER.languages

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        raise AssertionError("asked for tokens")

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("asked for a vector")


@pytest.fixture
async def library(table: ChunkTable) -> ChunkTable:
    await put(
        table,
        cut("herons", ["the grey heron stands in the river", "herons eat fish"], metadata={"topic": "birds", "n": 1}),
        cut("rivers", ["the river carries sand to the sea"], metadata={"topic": "water", "n": 2}, pages=[4]),
        cut("bread", ["flour water salt yeast and time"], metadata={"topic": "o'brien\\", "n": "1"}, collection="food"),
    )
    return table


@pytest.mark.parametrize("mode", SearchMode)
@pytest.mark.parametrize("fusion", Fusion)
async def test_every_mode_finds_the_obvious(library: ChunkTable, mode: SearchMode, fusion: Fusion) -> None:
    """The chunk that is about it comes first, whole, with its place and a score in 0..1."""
    hits = await ask(library, "herons eat fish", mode=mode, fusion=fusion)

    assert (hits[0].text, hits[0].document_id, hits[0].revision, hits[0].position) == (
        "herons eat fish",
        "herons",
        1,
        1,
    )
    assert hits[0].metadata == {"topic": "birds", "n": 1}
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert len({hit.chunk_id for hit in hits}) == len(hits)


async def test_part_scores_tell_who_found_it(library: ChunkTable) -> None:
    """A hybrid hit knows its cosine, and its BM25 if a word matched."""
    hits = {hit.document_id: hit for hit in await ask(library, "sand")}

    assert hits["rivers"].vector_score is not None
    assert hits["rivers"].keyword_score is not None
    assert hits["bread"].keyword_score is None


async def test_keyword_mode_does_not_embed(library: ChunkTable) -> None:
    """Whoever asks for words alone does not wait for a model, nor need one."""
    request = QueryRequest(query="sand", mode=SearchMode.KEYWORD)

    hits = await search(library, RefusingEmbedder(), request, everything)

    assert [hit.document_id for hit in hits] == ["rivers"]


@pytest.mark.parametrize("mode", SearchMode)
async def test_what_sql_hides_is_never_returned(library: ChunkTable, mode: SearchMode) -> None:
    """A deleted document and an overtaken revision are dropped though the table still has them."""
    visible = seeing({"rivers": 1, "bread": 2})

    hits = await ask(library, "the river heron water", visible, mode=mode)

    assert {hit.document_id for hit in hits} == {"rivers"}


async def test_a_revision_sql_has_not_heard_of_yet_is_shown(table: ChunkTable) -> None:
    """Between the index's commit and SQL's, the new revision answers: the old one is gone."""
    await put(table, cut("a", ["needle"], revision=2))

    assert [hit.revision for hit in await ask(table, "needle", seeing({"a": 1}))] == [2]


@pytest.mark.parametrize("mode", SearchMode)
async def test_hidden_chunks_do_not_crowd_out_visible_ones(table: ChunkTable, mode: SearchMode) -> None:
    """300 better matches that may not be seen leave the one that may be seen to be found."""
    await put(table, *(cut(f"hidden{n}", ["needle needle needle"]) for n in range(300)))
    await put(table, cut("shown", ["needle and much else besides that makes it a worse match"]))

    hits = await ask(table, "needle", seeing({"shown": 1}), mode=mode, limit=5)

    assert [hit.document_id for hit in hits] == ["shown"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, {"herons", "rivers", "bread"}),
        ({"topic": "birds"}, {"herons"}),
        ({"topic": "o'brien\\"}, {"bread"}),
        ({"n": 1}, {"herons"}),
        ({"n": 1.0}, {"herons"}),
        ({"n": "1"}, {"bread"}),
        ({"n": True}, set()),
        ({"n": 1, "topic": "birds"}, {"herons"}),
        ({"n": 2, "topic": "birds"}, set()),
        ({"source_type": "text"}, {"herons", "rivers", "bread"}),
        ({"page": 4}, {"rivers"}),
        ({"_system.page": 4}, {"rivers"}),
        ({"_system.page": None}, {"herons", "bread"}),
        ({"_system.collection": "food"}, {"bread"}),
        ({"nothing": None}, {"herons", "rivers", "bread"}),
        ({"topic": None}, set()),
        ({"topic": "' OR 1=1 --"}, set()),
        ({"_system.source": "') OR true --"}, set()),
        ({"x' OR 1=1 --": "y"}, set()),
        ({"тема": "\\'; DROP TABLE x; 😀\u0000"}, set()),
    ],
)
@pytest.mark.parametrize("mode", SearchMode)
async def test_filters_narrow_every_mode(
    library: ChunkTable, mode: SearchMode, filters: dict[str, Any], found: set[str]
) -> None:
    """Filters hold on both sides of the search, types count, and hostile strings are strings."""
    hits = await ask(library, "heron river flour sand fish water", mode=mode, filters=filters)

    assert {hit.document_id for hit in hits} == found


async def test_a_collection_is_a_filter_of_its_own(library: ChunkTable) -> None:
    """It joins whatever other filters there are."""
    assert {hit.document_id for hit in await ask(library, "water", collection="food")} == {"bread"}
    assert await ask(library, "water", collection="food", filters={"n": 1}) == []


async def test_wrong_filters_are_refused_before_anything_is_asked(library: ChunkTable) -> None:
    """Nobody waits for a model to be told of a typing error."""
    with pytest.raises(ValidationFailed):
        await search(library, RefusingEmbedder(), QueryRequest(query="x", filters={"a": {"$near": 1}}), everything)


async def test_nothing_to_ask_finds_nothing(library: ChunkTable, table: ChunkTable) -> None:
    """Blank questions and questions to an empty table are answered with an empty list."""
    assert await search(library, RefusingEmbedder(), QueryRequest(query=" \n "), everything) == []
    await library.delete_documents([DocumentId(each) for each in ("herons", "rivers", "bread")])
    assert await ask(library, "heron") == []


async def test_words_that_match_nothing_leave_the_vector(library: ChunkTable) -> None:
    """Stop words alone bring no text match, and the hybrid answer is that of the vector."""
    hits = await ask(library, "the and of")

    assert len(hits) == 4
    assert all(hit.keyword_score is None for hit in hits)


async def test_equal_scores_come_in_order_of_chunk_id(table: ChunkTable) -> None:
    """The same text in many documents is listed the same way each time, wherever its rows lie."""
    await put(table, *(cut(f"d{n}", ["the same text"]) for n in range(40)))
    first = [hit.chunk_id for hit in await ask(table, "same text", limit=40)]
    await put(table, *(cut(f"d{n}", ["the same text"]) for n in range(0, 40, 3)))
    await table.optimize(timedelta(days=1))

    assert first == sorted(first)
    assert [hit.chunk_id for hit in await ask(table, "same text", limit=40)] == first


async def test_a_compaction_between_finding_and_reading_is_survived(table: ChunkTable) -> None:
    """Rows that moved are found again rather than lost or mistaken for others."""
    for number in range(6):
        await put(table, cut(f"d{number}", [f"needle {number}"]))
    compacted = []

    class Compacting:
        """Compacts the table once, right before the first reading."""

        async def search_vector(self, *arguments: Any) -> Any:
            return await table.search_vector(*arguments)

        async def search_text(self, *arguments: Any) -> Any:
            return await table.search_text(*arguments)

        async def read(self, row_ids: Sequence[int]) -> Any:
            if not compacted:
                await table.optimize(timedelta(days=1))
                await table.search_vector(EMBEDDER.embed(["x"])[0], 1)
                compacted.append(True)
            return await table.read(row_ids)

    hits = await search(Compacting(), EMBEDDER, QueryRequest(query="needle"), everything)  # type: ignore[arg-type]

    assert sorted(hit.text for hit in hits) == [f"needle {number}" for number in range(6)]


class ByLength:
    """Finds the longest text best; `reads` of them at most."""

    name = "by-length"

    def __init__(self, *, reads: int = 50, weight: float = 1.0, fails: bool = False) -> None:
        self.most_texts, self.weight, self._fails = reads, weight, fails

    def score(self, query: str, texts: Sequence[str]) -> Any:
        if self._fails:
            raise RerankFailed("no")
        return np.array([len(text) / 1000 for text in texts], np.float32)


async def retrieved(table: ChunkTable, reranker: ByLength | None, **options: Any) -> Retrieved:
    reranking = None
    if reranker is not None:
        reranking = Rerankings(lambda _: reranker, timeout_seconds=5).of(EMBEDDER)
    return await retrieve(table, EMBEDDER, QueryRequest(query="heron water", **options), everything, reranking)


async def test_a_reranker_decides_the_order(library: ChunkTable) -> None:
    """Its score is the score, and is told beside the others'."""
    found = await retrieved(library, ByLength(), rerank=True)

    assert (found.reranked, found.fallback) == (True, None)
    assert [len(hit.text) for hit in found.hits] == sorted((len(hit.text) for hit in found.hits), reverse=True)
    assert [hit.score for hit in found.hits] == [hit.rerank_score for hit in found.hits]
    assert {hit.chunk_id for hit in found.hits} == {hit.chunk_id for hit in await ask(library, "heron water")}


async def test_a_reranker_has_its_weight(library: ChunkTable) -> None:
    """The rest of the score is the fused one's."""
    fused = {hit.chunk_id: hit.score for hit in await ask(library, "heron water")}

    for hit in (await retrieved(library, ByLength(weight=0.25), rerank=True)).hits:
        assert hit.score == pytest.approx(0.75 * fused[hit.chunk_id] + 0.25 * len(hit.text) / 1000, abs=2e-6)


async def test_only_the_best_are_read_again(library: ChunkTable) -> None:
    """The others follow in their order, with no higher a score."""
    fused = await ask(library, "heron water")

    found = await retrieved(library, ByLength(reads=2), rerank=True)

    assert {hit.chunk_id for hit in found.hits[:2]} == {hit.chunk_id for hit in fused[:2]}
    assert [hit.chunk_id for hit in found.hits[2:]] == [hit.chunk_id for hit in fused[2:]]
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert [hit.rerank_score is None for hit in found.hits] == [False, False, True, True]


@pytest.mark.parametrize(
    ("reranker", "reason"), [(ByLength(fails=True), Fallback.FAILED), (None, Fallback.NOT_CONFIGURED)]
)
async def test_without_a_reranker_the_fused_order_stands(
    library: ChunkTable, reranker: ByLength | None, reason: Fallback
) -> None:
    """The answer is the one that would have been given anyway, and says so."""
    found = await retrieved(library, reranker, rerank=True)

    assert (found.reranked, found.fallback) == (False, reason)
    assert found.hits == await ask(library, "heron water")


async def test_nobody_reranks_unasked(library: ChunkTable) -> None:
    """What is configured does nothing until a query wants it."""
    assert (await retrieved(library, ByLength())).reranked is None


@pytest.mark.parametrize("mode", SearchMode)
async def test_no_document_takes_more_than_its_share(table: ChunkTable, mode: SearchMode) -> None:
    """A document of 300 better chunks leaves room for the others, however deep they lie."""
    await put(table, cut("long", [f"needle needle needle {n}" for n in range(300)]))
    await put(table, *(cut(f"short{n}", ["needle and much besides that makes it a worse match"]) for n in range(3)))

    hits = await ask(table, "needle", mode=mode, limit=5, max_per_document=2)

    assert sorted(hit.document_id for hit in hits) == ["long", "long", "short0", "short1", "short2"]


@pytest.mark.parametrize("mode", SearchMode)
async def test_diversity_leaves_out_what_was_said(table: ChunkTable, mode: SearchMode) -> None:
    """Of ten copies of the best text one is shown before anything else is; every score stays the chunk's own."""
    await put(table, *(cut(f"copy{n}", ["the heron eats fish"]) for n in range(10)))
    await put(table, cut("other", ["a heron nests in tall trees in spring"]))
    plain = {hit.chunk_id: hit.score for hit in await ask(table, "heron fish", mode=mode, limit=20)}

    hits = await ask(table, "heron fish", mode=mode, limit=4, diversity=0.6)

    assert [hit.document_id == "other" for hit in hits] == [False, True, False, False]
    assert all(hit.score == plain[hit.chunk_id] for hit in hits)


async def test_alpha_weighs_the_sides(library: ChunkTable) -> None:
    """At its ends one side alone decides the order."""
    by_vector = [hit.chunk_id for hit in await ask(library, "heron water", mode=SearchMode.VECTOR)]
    by_words = [hit.chunk_id for hit in await ask(library, "heron water", mode=SearchMode.KEYWORD)]

    assert [hit.chunk_id for hit in await ask(library, "heron water", alpha=1.0)] == by_vector
    assert [hit.chunk_id for hit in await ask(library, "heron water", alpha=0.0)][: len(by_words)] == by_words
