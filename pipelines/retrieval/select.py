"""Choose among ranked chunks: not too many of one document, not the same thing twice."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipelines.embedding.base import Vectors


class Allowance:
    """Counts the chunks of each document that were taken; None allows any number."""

    def __init__(self, most_per_document: int | None) -> None:
        self._most = most_per_document
        self._taken: Counter[str] = Counter()

    def takes(self, document_id: str) -> bool:
        """Whether there is room for another chunk of this document, which is then taken."""
        if self._most is not None and self._taken[document_id] >= self._most:
            return False
        self._taken[document_id] += 1
        return True


def diverse_order(scores: Sequence[float], vectors: Vectors, diversity: float, limit: int) -> list[int]:
    """Return places of the `limit` best by maximal marginal relevance, in the order they are chosen.

    Each next one has the most of (1 − diversity)·score − diversity·(cosine to the nearest chosen before), negative
    cosines counting as 0; of equals the earlier. Carbonell and Goldstein (1998), "The use of MMR, diversity-based
    reranking for reordering documents and producing summaries", with λ = 1 − diversity. `vectors` may be of any length.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    relevance = (1.0 - diversity) * np.asarray(scores, np.float64)
    nearest = np.zeros(len(relevance))
    left = np.ones(len(relevance), bool)
    chosen: list[int] = []
    for _ in range(min(limit, len(relevance))):
        # Rounded for the same reason as every score: a tie must be one on every machine.
        marginal = np.where(left, np.round(relevance - diversity * nearest, 6), -np.inf)
        best = int(np.argmax(marginal))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, np.einsum("ij,j->i", units, units[best]))
    return chosen
