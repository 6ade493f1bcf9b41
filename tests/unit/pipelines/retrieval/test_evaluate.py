"""The measures are trec_eval's; a candidate is worse when it finds less than the tolerance allows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import DocumentId
from pipelines.retrieval.evaluate import Scores, evaluate, is_worse, ndcg_at, recall_at
from stores.golden_sets import GoldenQuestion

names = st.sampled_from([DocumentId(name) for name in "abcdefghijklmnop"])
rankings = st.lists(names, unique=True, max_size=15)
grades = st.dictionaries(names, st.integers(0, 4), min_size=1).filter(lambda found: any(found.values()))


def relevant(**given: int) -> dict[DocumentId, int]:
    return {DocumentId(name): grade for name, grade in given.items()}


def test_what_a_hand_works_out() -> None:
    """Two of three relevant documents, the better one second: gains over log2(rank + 1)."""
    ranked, known = ["x", "a", "y", "b"], relevant(a=3, b=1, c=2, x=0)
    assert recall_at(ranked, known) == pytest.approx(2 / 3)
    gained = 3 / math.log2(3) + 1 / math.log2(5)
    best = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg_at(ranked, known) == pytest.approx(gained / best)
    assert ndcg_at(ranked, known, depth=1) == 0


def test_agrees_with_the_scorer_that_agrees_with_trec_eval() -> None:
    """nDCG@10 and recall@10 of a run of thirty documents, as that scorer gave them."""
    ranked = [f"d{number * 7 % 30}" for number in range(30)]
    known = {DocumentId(f"d{number}"): number % 4 for number in range(0, 30, 3)}
    assert ndcg_at(ranked, known) == pytest.approx(0.14888, abs=5e-6)
    assert recall_at(ranked, known) == pytest.approx(0.28571, abs=5e-6)


@given(rankings, grades)
def test_measures_are_shares(ranked: list[str], known: dict[DocumentId, int]) -> None:
    """From 0 to 1, and 1 for the best order there is."""
    assert 0 <= recall_at(ranked, known) <= 1
    assert 0 <= ndcg_at(ranked, known) <= 1 + 1e-12
    best = sorted(known, key=lambda name: -known[name])
    assert ndcg_at(best, known) == pytest.approx(1)


@given(rankings, grades, st.integers(0, 13))
def test_a_better_document_further_up_is_never_worse(ranked: list[str], known: dict[DocumentId, int], at: int) -> None:
    """Exchanging neighbours so that the better one comes first does not lower nDCG."""
    if at + 1 >= len(ranked):
        return
    grade = {str(name): value for name, value in known.items()}
    first, second = ranked[at], ranked[at + 1]
    if grade.get(first, 0) < grade.get(second, 0):
        changed = [*ranked[:at], second, first, *ranked[at + 2 :]]
        assert ndcg_at(changed, known) >= ndcg_at(ranked, known)


async def test_means_are_over_questions() -> None:
    """One that finds nothing counts as 0."""

    async def ask(query: str) -> list[DocumentId]:
        return [DocumentId("a")] if query == "known" else []

    questions = [GoldenQuestion(query=query, relevant=relevant(a=1)) for query in ("known", "unknown")]
    assert await evaluate(questions, ask) == Scores(questions=2, recall=0.5, ndcg=0.5)
    assert await evaluate([], ask) == Scores(questions=0, recall=0.0, ndcg=0.0)


def test_worse_is_beyond_the_tolerance_in_either_measure() -> None:
    """Better in one does not make up for the other."""
    active = Scores(questions=1, recall=0.8, ndcg=0.8)
    assert not is_worse(Scores(questions=1, recall=0.79, ndcg=0.79), active, tolerance=0.02)
    assert is_worse(Scores(questions=1, recall=1.0, ndcg=0.77), active, tolerance=0.02)
    assert is_worse(Scores(questions=1, recall=0.77, ndcg=1.0), active, tolerance=0.02)
