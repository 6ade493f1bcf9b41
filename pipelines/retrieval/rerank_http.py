"""A reranker behind an endpoint that speaks the `/rerank` of Cohere, Jina and others, set by the operator."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from pipelines.retrieval.rerank import Relevance, RerankFailed

_MOST_TEXTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankEndpoint:
    """Where to ask, and for what."""

    base_url: str
    model: str
    timeout_seconds: float
    api_key: str | None = field(default=None, repr=False)


class HttpReranker:
    """Asks once: a query does not wait for a second try. Scores outside 0..1 are cut to it by whoever asked."""

    weight = 1.0
    most_texts = _MOST_TEXTS

    def __init__(self, endpoint: RerankEndpoint, *, transport: httpx.BaseTransport | None = None) -> None:
        self.name = endpoint.model
        self._client = httpx.Client(
            base_url=endpoint.base_url.rstrip("/") + "/",
            headers={"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {},
            timeout=endpoint.timeout_seconds,
            trust_env=False,
            transport=transport,
        )

    def score(self, query: str, texts: Sequence[str]) -> Relevance:
        """Return the endpoint's relevance of each text. Raises RerankFailed."""
        asked = {"model": self.name, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            answer = self._client.post("rerank", json=asked)
            if not answer.is_success:
                raise RerankFailed(f"The rerank endpoint answered {answer.status_code}.")
            return _scores(answer.json(), len(texts))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, IndexError) as error:
            raise RerankFailed("The rerank endpoint gave no score for each text.") from error


def _scores(answer: Any, count: int) -> Relevance:
    scores = np.full(count, np.nan, np.float32)
    for entry in answer["results"]:
        index = entry["index"]
        if not isinstance(index, int) or not 0 <= index < count:
            raise IndexError(index)
        scores[index] = float(entry["relevance_score"])
    if np.isnan(scores).any():
        raise ValueError("A text has no score.")
    return scores
