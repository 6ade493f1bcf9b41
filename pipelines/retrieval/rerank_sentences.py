"""The reranker that needs no other model: how near the question is to the nearest sentence of a passage.

A passage's vector is the mean of all it says; one sentence of it may be the answer.
"""

import re
from collections.abc import Sequence

import numpy as np

from core.errors import EmbeddingFailed
from pipelines.embedding.base import Embedder
from pipelines.retrieval.rerank import Relevance, RerankFailed

# Cut too often rather than too seldom: half a sentence still has a meaning, two together have none that is nearest. So
# what looks like an end is one, unlike for quotes (sentences.py), also where all is in small letters.
_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n\s*\n")
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
        sentences = [_sentences(text) for text in texts]
        try:
            vectors = self._embedder.embed([query, *(each for several in sentences for each in several)])
        except EmbeddingFailed as error:
            raise RerankFailed("The embedder did not read the sentences.") from error
        cosines = np.einsum("ij,j->i", vectors[1:], vectors[0])
        starts = np.cumsum([0, *(len(several) for several in sentences[:-1])])
        best: Relevance = np.maximum.reduceat(cosines, starts)
        return (1.0 + best) / 2.0


def _sentences(text: str) -> list[str]:
    pieces = (piece.strip() for piece in _END.split(text))
    return [piece for piece in pieces if len(piece) > _SHORTEST_CHARACTERS] or [text]
