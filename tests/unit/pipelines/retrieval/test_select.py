"""Choosing: the formula of maximal marginal relevance, and a bound per document."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.select import Allowance, diverse_order

LIKE = np.array([[1, 0], [1, 0.01], [0, 1]], np.float32)


def test_no_diversity_is_the_order_of_scores() -> None:
    """λ = 1 leaves relevance alone."""
    assert diverse_order([0.9, 0.8, 0.7], LIKE, 0.0, 3) == [0, 1, 2]


def test_what_says_the_same_comes_later() -> None:
    """The second is all but the first again, so the third goes before it: by hand .5·.7 against .5·.8 − .5·1."""
    assert diverse_order([0.9, 0.8, 0.7], LIKE, 0.5, 3) == [0, 2, 1]


def test_vectors_may_have_any_length() -> None:
    """Only their direction counts, and one of no length is like nothing."""
    stretched = LIKE * np.array([[3], [0.5], [10]], np.float32)
    assert diverse_order([0.9, 0.8, 0.7], stretched, 0.5, 3) == [0, 2, 1]
    assert diverse_order([0.9, 0.8], np.zeros((2, 2), np.float32), 0.5, 2) == [0, 1]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=12),
    st.floats(0, 1),
    st.integers(1, 15),
)
def test_each_is_chosen_once_and_the_best_first(rows: list[tuple[float, ...]], diversity: float, limit: int) -> None:
    """As many as there are, at most; the first is one of the most relevant, unless relevance counts for nothing."""
    scores, vectors = [row[0] for row in rows], np.array([row[1:] for row in rows], np.float32)
    chosen = diverse_order(scores, vectors, diversity, limit)
    assert len(chosen) == len(set(chosen)) == min(limit, len(rows))
    assert (1 - diversity) * (max(scores) - scores[chosen[0]]) <= 1e-6


def test_a_document_has_its_share() -> None:
    """Two of one, and then only others; without a bound, any number."""
    allowance, boundless = Allowance(2), Allowance(None)
    assert [allowance.takes(each) for each in "aabaab"] == [True, True, True, False, False, True]
    assert all(boundless.takes("a") for _ in range(50))
