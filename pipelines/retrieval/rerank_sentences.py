"""The reranker that needs no other model: how near the question is to the nearest sentence of a passage.

A passage's vector is the mean of all it says; one sentence of it may be the answer.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from core.errors import EmbeddingFailed
from pipelines.embedding.base import Embedder
from pipelines.retrieval.rerank import Relevance, RerankFailed
from pipelines.retrieval.sentences import sentence_spans

# Fewer characters are a heading or a number, and near to anything.
_SHORTEST_CHARACTERS = 20


class SentenceReranker:
    """Asks the embedder of the index itself, so that it knows whatever languages that one knows."""

    name = "sentences"
    # Best of those tried on both collections measured; with all the weight it is worse than no reranking at all
    # (see benchmarks/README.md).
    weight = 0.3
    most_texts = 20

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def score(self, query: str, texts: Sequence[str]) -> Relevance:
        """Return (1 + the highest cosine of a sentence) / 2 for each text. Raises RerankFailed."""
        sentences = [list(_sentences(text)) for text in texts]
        try:
            vectors = self._embedder.embed([query, *(each for several in sentences for each in several)])
        except EmbeddingFailed as error:
            raise RerankFailed("The embedder did not read the sentences.") from error
        cosines = np.einsum("ij,j->i", vectors[1:], vectors[0])
        starts = np.cumsum([0, *(len(several) for several in sentences[:-1])])
        best: Relevance = np.maximum.reduceat(cosines, starts)
        return (1.0 + best) / 2.0


def _sentences(text: str) -> Iterator[str]:
    long_enough = [text[start:end] for start, end in sentence_spans(text) if end - start > _SHORTEST_CHARACTERS]
    yield from long_enough or [text]
