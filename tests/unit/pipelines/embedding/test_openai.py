"""A remote embedder is asked in batches, asked again when it is busy, and believed only as far as it was checked."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from core.errors import EmbeddingFailed
from pipelines.embedding.openai import Endpoint, OpenAIEmbedder

ENDPOINT = Endpoint(base_url="https://embeddings.example/v1", model="Text-Embed.3", dimensions=3, api_key="secret")


def vectors_for(texts: list[str]) -> list[dict[str, Any]]:
    # The last first: what counts is the index an entry carries.
    return [{"index": place, "embedding": [len(text), 1.0, 0.0]} for place, text in enumerate(texts)][::-1]


def embedder(answer: Callable[[httpx.Request], httpx.Response], slept: list[float] | None = None) -> OpenAIEmbedder:
    return OpenAIEmbedder(
        ENDPOINT, transport=httpx.MockTransport(answer), sleep=[].append if slept is None else slept.append
    )


def test_vectors_come_in_the_order_of_the_texts_and_of_length_one() -> None:
    """Whatever order and length the endpoint gives them."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": vectors_for(json.loads(request.content)["input"])})

    vectors = embedder(answer).embed(["a", "bbb"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [1, 3], rtol=1e-6)
    [request] = asked
    assert str(request.url) == "https://embeddings.example/v1/embeddings"
    assert request.headers["authorization"] == "Bearer secret"
    assert json.loads(request.content)["model"] == "Text-Embed.3"


def test_many_texts_are_asked_for_in_several_requests() -> None:
    """None of them above what endpoints take."""
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        texts = json.loads(request.content)["input"]
        sizes.append(len(texts))
        return httpx.Response(200, json={"data": vectors_for(texts)})

    assert embedder(answer).embed(["x"] * 600).shape == (600, 3)
    assert sizes == [256, 256, 88]
    sizes.clear()
    assert embedder(answer).embed(["x" * 150_000] * 2).shape == (2, 3)
    assert sizes == [1, 1]
    assert embedder(answer).embed([]).shape == (0, 3)


def test_a_busy_endpoint_is_asked_again_with_longer_pauses() -> None:
    """As long as it says where it said, and twice as long each time where it did not."""
    answers = [
        httpx.Response(429, headers={"retry-after": "7"}),
        httpx.Response(503),
        httpx.Response(200, json={"data": vectors_for(["x"])}),
    ]
    slept: list[float] = []
    assert embedder(lambda _: answers.pop(0), slept).embed(["x"]).shape == (1, 3)
    assert slept == [7.0, 1.0]


def test_an_endpoint_that_stays_away_is_given_up() -> None:
    """With a sentence, after five tries."""
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        raise httpx.ConnectError("refused")

    with pytest.raises(EmbeddingFailed, match="does not answer"):
        embedder(answer).embed(["x"])
    assert len(tries) == 5


def test_a_refusal_is_not_repeated() -> None:
    """A wrong key stays wrong."""
    tries: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        return httpx.Response(401)

    with pytest.raises(EmbeddingFailed, match="settings"):
        embedder(answer).embed(["x"])
    assert len(tries) == 1


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"index": 0, "embedding": [1.0, 0.0, 0.0]}] * 2,
        [{"index": 1, "embedding": [1.0, 0.0, 0.0]}],
        [{"index": 0, "embedding": [1.0, 0.0]}],
        [{"index": 0, "embedding": [0.0, 0.0, 0.0]}],
        [{"index": 0, "embedding": [1e39, 0.0, 0.0]}],
        [{"index": 0, "embedding": "AAAA"}],
        [{"index": 0}],
        "nothing",
    ],
)
def test_a_wrong_answer_is_refused(data: Any) -> None:
    """Too few, too many, another text's, of other dimensions, zero, not finite, no numbers at all."""
    with pytest.raises(EmbeddingFailed):
        embedder(lambda _: httpx.Response(200, json={"data": data})).embed(["x"])


def test_spaces_differ_by_all_that_makes_vectors_differ() -> None:
    """Address, model and dimensions; the key does not. The name fits into a table's."""
    spaces = {
        ENDPOINT.space,
        Endpoint(base_url="https://other.example/v1", model="Text-Embed.3", dimensions=3).space,
        Endpoint(base_url=ENDPOINT.base_url, model="Text-Embed.4", dimensions=3).space,
        Endpoint(base_url=ENDPOINT.base_url, model="Text-Embed.3", dimensions=4).space,
    }
    assert len(spaces) == 4
    assert Endpoint(base_url=ENDPOINT.base_url + "/", model="Text-Embed.3", dimensions=3).space == ENDPOINT.space
    assert ENDPOINT.space.startswith("text-embed-3-3-")


def test_the_key_is_not_shown() -> None:
    """Neither in a log line nor in a traceback."""
    assert "secret" not in repr(ENDPOINT)
