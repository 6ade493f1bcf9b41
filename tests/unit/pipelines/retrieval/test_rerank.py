"""A reranker has its time, and whatever goes wrong with it is said rather than raised."""

import threading
from collections.abc import Sequence

import httpx
import numpy as np
import pytest

from core.errors import EmbeddingFailed
from pipelines.embedding.hashed import HashEmbedder
from pipelines.retrieval.rerank import Fallback, Relevance, RerankFailed, Reranking, Rerankings
from pipelines.retrieval.rerank_http import HttpReranker, RerankEndpoint
from pipelines.retrieval.rerank_sentences import SentenceReranker


class Scripted:
    name, weight, most_texts = "scripted", 1.0, 10

    def __init__(self, answer: Relevance | Exception | threading.Event) -> None:
        self._answer = answer

    def score(self, query: str, texts: Sequence[str]) -> Relevance:
        if isinstance(self._answer, threading.Event):
            self._answer.wait(10)
            return np.zeros(len(texts), np.float32)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def reranking(reranker: Scripted, timeout_seconds: float) -> Reranking:
    found = Rerankings(lambda _: reranker, timeout_seconds=timeout_seconds).of(HashEmbedder())
    assert found is not None
    return found


def scores(*values: float) -> Relevance:
    return np.array(values, np.float32)


async def test_scores_are_cut_to_their_range() -> None:
    """Endpoints differ in what they call a score."""
    found = await reranking(Scripted(scores(-0.5, 0.25, 7)), 5).scores("q", ["a", "b", "c"])
    assert not isinstance(found, Fallback)
    assert found.tolist() == [0.0, 0.25, 1.0]


@pytest.mark.parametrize(
    "answer", [RerankFailed("no"), ValueError("bug"), scores(1), scores(1, np.nan), scores(1, np.inf)]
)
async def test_what_is_no_score_for_each_text_is_a_fallback(answer: Relevance | Exception) -> None:
    """Errors, a wrong number of scores, and scores that are none."""
    assert await reranking(Scripted(answer), 5).scores("q", ["a", "b"]) is Fallback.FAILED


async def test_a_slow_reranker_is_not_waited_for() -> None:
    """Its time over, the query goes on without it."""
    hold = threading.Event()
    try:
        assert await reranking(Scripted(hold), 0.05).scores("q", ["a"]) is Fallback.TIMED_OUT
    finally:
        hold.set()


def endpoint(answer: httpx.Response | Exception, asked: list[httpx.Request] | None = None) -> HttpReranker:
    def respond(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings = RerankEndpoint(base_url="https://rerank.example/v1", model="m", timeout_seconds=1, api_key="s3cret")
    return HttpReranker(settings, transport=httpx.MockTransport(respond))


def test_an_endpoint_is_asked_as_cohere_and_jina_are() -> None:
    """Model, query, documents; the answer comes best first and is put back into order."""
    results = {"results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]}
    asked: list[httpx.Request] = []

    found = endpoint(httpx.Response(200, json=results), asked).score("why?", ["a", "b"])

    assert found.tolist() == pytest.approx([0.1, 0.9])
    assert str(asked[0].url) == "https://rerank.example/v1/rerank"
    assert asked[0].headers["authorization"] == "Bearer s3cret"
    assert asked[0].read() == b'{"model":"m","query":"why?","documents":["a","b"],"top_n":2}'


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"results": [{"index": 0, "relevance_score": 0.5}]}),
        httpx.Response(200, json={"results": [{"index": 5, "relevance_score": 0.5}]}),
        httpx.Response(200, json={"results": [{"index": "0", "relevance_score": 0.5}]}),
        httpx.Response(200, json={"results": [{"index": 0, "relevance_score": None}]}),
        httpx.ConnectTimeout("slow"),
    ],
)
def test_any_other_answer_is_a_failure(answer: httpx.Response | Exception) -> None:
    """Whatever an endpoint may say instead, it is one kind of error."""
    with pytest.raises(RerankFailed):
        endpoint(answer).score("why?", ["a", "b"])


def test_a_passage_is_as_near_as_its_nearest_sentence() -> None:
    """One sentence that answers outweighs many that do not, and a passage without sentences is one itself."""
    embedder = HashEmbedder(dimensions=256)
    answering = "The pump was painted green. Herons eat fish in the river. Nobody knows who signed for the delivery."
    rambling = "Rivers carry sand. The heron is grey. Fish swim about in the lake and the sea and in the pond."
    question = "Herons eat fish in the river."

    found = SentenceReranker(embedder).score(question, [rambling, answering, "fish", ""])

    assert found.shape == (4,)
    assert found[1] == pytest.approx(1.0, abs=1e-6)
    assert found[1] > found[0] > 0.5
    assert found[2] == pytest.approx((1 + float(embedder.embed(["fish"])[0] @ embedder.embed([question])[0])) / 2)


def test_an_embedder_that_fails_fails_the_reranker() -> None:
    """As its own kind of error."""

    class Failing(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> Relevance:
            raise EmbeddingFailed("no")

    with pytest.raises(RerankFailed):
        SentenceReranker(Failing()).score("q", ["a"])


def test_each_space_has_its_reranker() -> None:
    """Made once; none where nothing is configured."""
    made: list[str] = []
    rerankings = Rerankings(lambda embedder: made.append(embedder.space) or Scripted(scores()), timeout_seconds=1)
    small, large = HashEmbedder(dimensions=8), HashEmbedder(dimensions=16)
    assert rerankings.of(small) is rerankings.of(small) is not rerankings.of(large)
    assert made == [small.space, large.space]
    assert Rerankings(None, timeout_seconds=1).of(small) is None
