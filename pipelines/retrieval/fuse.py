"""Make one ranking of two: of what is alike in meaning and what shares words."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

# On the vector side. Best of the weights tried on every collection measured (see benchmarks/README.md).
ALPHA = 0.8
# Cormack, Clarke and Büttcher (2009), "Reciprocal Rank Fusion outperforms Condorcet…".
RRF_K = 60

_DIGITS = 6


class Fusion(StrEnum):
    CONVEX = "convex"
    RECIPROCAL_RANK = "rrf"


# Tuples, unlike other values: a query makes some two hundred of each, and a frozen dataclass takes thrice as long.
class Candidate(NamedTuple):
    """A chunk that a search found. A score is None where it is not known."""

    row_id: int
    chunk_id: str
    document_id: str
    revision: int
    similarity: float | None = None
    """Cosine, −1..1."""
    bm25: float | None = None


class Ranked(NamedTuple):
    candidate: Candidate
    score: float


def by_convex_combination(candidates: Sequence[Candidate], alpha: float = ALPHA) -> list[Ranked]:
    """Rank by α·vector + (1 − α)·keyword, each score divided by its range from the theoretical minimum.

    The minimum is −1 for the cosine and 0 for BM25, the maximum the best candidate's. "TM2C2" of Bruch, Gai and Ingber
    (2023), "An Analysis of Fusion Functions for Hybrid Retrieval". An unknown score counts as its minimum.
    """
    similarities = [-1.0 if c.similarity is None else c.similarity for c in candidates]
    bm25s = [c.bm25 or 0.0 for c in candidates]
    best_similarity = _or_one(max(similarities, default=-1.0) + 1.0)
    best_bm25 = _or_one(max(bm25s, default=0.0))
    return _ranked(
        candidates,
        [
            alpha * ((similarity + 1.0) / best_similarity) + (1.0 - alpha) * (bm25 / best_bm25)
            for similarity, bm25 in zip(similarities, bm25s, strict=True)
        ],
    )


def by_reciprocal_rank(candidates: Sequence[Candidate], k: int = RRF_K) -> list[Ranked]:
    """Rank by the sum of 1 / (k + rank) over both rankings, as a share of the sum of one that leads both."""
    sums = dict.fromkeys((candidate.chunk_id for candidate in candidates), 0.0)
    for scores in (
        {c.chunk_id: c.similarity for c in candidates if c.similarity is not None},
        {c.chunk_id: c.bm25 for c in candidates if c.bm25 is not None},
    ):
        order = sorted(scores.items(), key=lambda item: (-round(item[1], _DIGITS), item[0]))
        for rank, (chunk_id, _) in enumerate(order, start=1):
            sums[chunk_id] += 1.0 / (k + rank)
    most = 2.0 / (k + 1)
    return _ranked(candidates, [sums[candidate.chunk_id] / most for candidate in candidates])


def by_similarity(candidates: Sequence[Candidate]) -> list[Ranked]:
    """Rank by cosine alone, shown as (1 + cosine) / 2."""
    return _ranked(candidates, [(1.0 + (c.similarity if c.similarity is not None else -1.0)) / 2 for c in candidates])


def by_words_first(candidates: Sequence[Candidate]) -> list[Ranked]:
    """Rank by BM25 alone what shares a word, and behind it by similarity what does not.

    For questions of which words can be trusted and vectors can hardly.
    """
    matching = [candidate for candidate in candidates if candidate.bm25]
    first = by_words(matching)
    # What is behind gets less than the last of these, so that scores fall as ranks do.
    most = first[-1].score if first else 1.0
    rest = by_similarity([candidate for candidate in candidates if not candidate.bm25])
    return [*first, *(Ranked(entry.candidate, round(most * entry.score, _DIGITS)) for entry in rest)]


def by_words(candidates: Sequence[Candidate]) -> list[Ranked]:
    """Rank by BM25 alone, shown as a share of the best candidate's, since BM25 has no upper end."""
    return by_convex_combination(candidates, alpha=0.0)


def _or_one(whole: float) -> float:
    return whole if whole > 0 else 1.0  # there is nothing to have a share of, and so no share


def _ranked(candidates: Sequence[Candidate], scores: Sequence[float]) -> list[Ranked]:
    # Rounded before ordering: the last bits of a float differ between machines, and a tie must be one everywhere.
    rounded = [round(min(1.0, max(0.0, score)), _DIGITS) for score in scores]
    return sorted(map(Ranked, candidates, rounded), key=lambda entry: (-entry.score, entry.candidate.chunk_id))
