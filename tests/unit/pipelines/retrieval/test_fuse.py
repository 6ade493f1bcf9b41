"""Fusing: what the formulas say, scores in 0..1, and one order for everyone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.fuse import (
    Candidate,
    Ranked,
    by_convex_combination,
    by_reciprocal_rank,
    by_similarity,
    by_words,
)


def candidate(chunk_id: str, similarity: float | None = None, bm25: float | None = None) -> Candidate:
    return Candidate(row_id=0, chunk_id=chunk_id, document_id="d", revision=1, similarity=similarity, bm25=bm25)


def scores(ranked: list[Ranked]) -> dict[str, float]:
    return {entry.candidate.chunk_id: entry.score for entry in ranked}


def test_convex_combination_by_hand() -> None:
    """Two candidates worked out on paper."""
    ranked = by_convex_combination([candidate("a", 0.5, 2.0), candidate("b", 0.2, 8.0), candidate("c", None, 4.0)])

    assert scores(ranked) == {
        "a": pytest.approx(0.8 * 1.0 + 0.2 * 0.25),
        "b": pytest.approx(0.8 * 1.2 / 1.5 + 0.2),
        "c": pytest.approx(0.2 * 0.5),
    }
    assert [entry.candidate.chunk_id for entry in ranked] == ["a", "b", "c"]


def test_reciprocal_rank_by_hand() -> None:
    """A chunk that leads both rankings scores 1; ranks are counted per ranking."""
    ranked = by_reciprocal_rank([candidate("a", 0.9, 9.0), candidate("b", 0.8), candidate("c", None, 5.0)])

    assert scores(ranked) == {
        "a": 1.0,
        "b": pytest.approx((1 / 62) / (2 / 61), abs=1e-6),
        "c": pytest.approx((1 / 62) / (2 / 61), abs=1e-6),
    }
    assert [entry.candidate.chunk_id for entry in ranked] == ["a", "b", "c"]


def test_one_sided_rankings() -> None:
    """The cosine is shown on 0..1, BM25 as a share of the best."""
    assert scores(by_similarity([candidate("a", 1.0), candidate("b", 0.0), candidate("c", -1.0)])) == {
        "a": 1.0,
        "b": 0.5,
        "c": 0.0,
    }
    assert scores(by_words([candidate("a", None, 8.0), candidate("b", None, 2.0)])) == {"a": 1.0, "b": 0.25}


def test_without_any_match_of_words_the_vector_decides() -> None:
    """No division by nothing when the text search found nothing."""
    ranked = by_convex_combination([candidate("a", 0.1), candidate("b", 0.3)])

    assert [entry.candidate.chunk_id for entry in ranked] == ["b", "a"]
    assert by_convex_combination([]) == by_reciprocal_rank([]) == []


drawn = st.lists(st.tuples(st.none() | st.floats(-1, 1), st.none() | st.floats(0, 50)), max_size=30).map(
    lambda pairs: [candidate(f"c{number:02d}", *pair) for number, pair in enumerate(pairs)]
)


@pytest.mark.parametrize("fuse", [by_convex_combination, by_reciprocal_rank, by_similarity, by_words])
@given(candidates=drawn, seed=st.randoms())
def test_order_and_range(fuse, candidates, seed) -> None:  # type: ignore[no-untyped-def]
    """Scores lie in 0..1 with six digits, best first, ties by chunk id, whatever the order candidates come in."""
    ranked = fuse(candidates)
    shuffled = list(candidates)
    seed.shuffle(shuffled)

    assert all(0.0 <= entry.score <= 1.0 and round(entry.score, 6) == entry.score for entry in ranked)
    assert [(-entry.score, entry.candidate.chunk_id) for entry in ranked] == sorted(
        (-entry.score, entry.candidate.chunk_id) for entry in ranked
    )
    assert fuse(shuffled) == ranked
