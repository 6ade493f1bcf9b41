"""What holds of every answer, whatever was asked and however."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ids import DocumentId
from pipelines.retrieval.fuse import Fusion
from pipelines.retrieval.query import QueryRequest, SearchMode, retrieve
from pipelines.retrieval.rerank import Reranker, Rerankings
from pipelines.retrieval.rerank_sentences import SentenceReranker
from stores.lance import LanceStore
from tests.factories.chunks import EMBEDDER, TENANT, cut, put

WORDS = ["heron", "river", "fish", "sand", "bread", "salt", "the", "water"]
DOCUMENTS = [
    cut(f"d{number}", [f"{WORDS[(number + place) % 8]} {WORDS[number % 5]} {place}" for place in range(1 + number % 7)])
    for number in range(24)
]
HIDDEN = {"d3", "d11"}
asked = st.builds(
    QueryRequest,
    query=st.lists(st.sampled_from([*WORDS, "?"]), min_size=1, max_size=4).map(" ".join),
    limit=st.integers(1, 100),
    mode=st.sampled_from(SearchMode),
    fusion=st.sampled_from(Fusion),
    alpha=st.floats(0, 1),
    filters=st.none() | st.fixed_dictionaries({"_system.document_id": st.fixed_dictionaries({"$lt": st.just("d2")})}),
    max_per_document=st.none() | st.integers(1, 3),
    diversity=st.just(0.0) | st.floats(0, 1),
    rerank=st.booleans(),
)


async def visible(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
    return {each: 1 for each in document_ids if each not in HIDDEN}


class Failing(SentenceReranker):
    def score(self, query: str, texts: Sequence[str]) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize("reranker", [SentenceReranker, Failing])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=asked)
async def test_every_answer_is_sound(tmp_path: Path, reranker: type[Reranker], request: QueryRequest) -> None:
    """Each chunk once, as it is stored, allowed and asked for; no more than wanted; scores in range and in order."""
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    if not await table.count():
        await put(table, *DOCUMENTS)
    stored = {(each.document.document_id, part.position): part.text for each in DOCUMENTS for part in each.passages}
    reranking = Rerankings(reranker, timeout_seconds=30).of(EMBEDDER)  # type: ignore[arg-type]

    answer = await retrieve(table, EMBEDDER, request, visible, reranking)

    hits = answer.hits
    assert len({hit.chunk_id for hit in hits}) == len(hits) <= request.limit
    assert all(stored[hit.document_id, hit.position] == hit.text for hit in hits)
    assert not {hit.document_id for hit in hits} & HIDDEN
    assert all(0.0 <= hit.score <= 1.0 and round(hit.score, 6) == hit.score for hit in hits)
    if request.filters:
        assert all(hit.document_id < "d2" for hit in hits)
    if request.max_per_document:
        assert max(Counter(hit.document_id for hit in hits).values(), default=0) <= request.max_per_document
    if not request.diversity:
        assert hits == sorted(hits, key=lambda hit: -hit.score)
    assert answer.reranked is (None if not request.rerank else reranker is SentenceReranker or not hits)
    again = await retrieve(table, EMBEDDER, request, visible, reranking)
    assert again == answer
    if request.mode is not SearchMode.KEYWORD and not request.filters and request.max_per_document is None:
        assert len(hits) == min(request.limit, sum(document_id not in HIDDEN for document_id, _ in stored))
