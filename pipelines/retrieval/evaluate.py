"""How well documents are found, by questions whose answers are known."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from core.ids import DocumentId
from stores.golden_sets import GoldenQuestion

# Of the first ten documents, as golden sets are judged here and by most published figures.
DEPTH = 10

Ask = Callable[[str], Awaitable[Sequence[DocumentId]]]
"""Returns the documents found for a question, best first, each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Means over all questions, in 0..1."""

    questions: int
    recall: float
    ndcg: float


def recall_at(ranked: Sequence[str], relevant: Mapping[DocumentId, int], depth: int = DEPTH) -> float:
    """Return the share of the relevant documents, those of a grade above 0, that is among the first `depth`.

    trec_eval's `recall`. Raises ZeroDivisionError if none is relevant.
    """
    wanted = {document_id for document_id, grade in relevant.items() if grade > 0}
    return sum(document_id in wanted for document_id in ranked[:depth]) / len(wanted)


def ndcg_at(ranked: Sequence[str], relevant: Mapping[DocumentId, int], depth: int = DEPTH) -> float:
    """Return the discounted cumulative gain of the first `depth` as a share of the best there could be.

    Järvelin and Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", with the grade itself as gain
    and log2(rank + 1) as discount: trec_eval's `ndcg_cut`. Raises ZeroDivisionError if none is relevant.
    """
    grades = {str(document_id): max(0, grade) for document_id, grade in relevant.items()}
    best = sorted(grades.values(), reverse=True)
    return _gain([grades.get(document_id, 0) for document_id in ranked[:depth]]) / _gain(best[:depth])


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, start=1))


async def evaluate(questions: Sequence[GoldenQuestion], ask: Ask) -> Scores:
    """Ask every question and return the means; 0 where there is none."""
    recalls: list[float] = []
    ndcgs: list[float] = []
    for question in questions:
        ranked = await ask(question.query)
        recalls.append(recall_at(ranked, question.relevant))
        ndcgs.append(ndcg_at(ranked, question.relevant))
    return Scores(questions=len(recalls), recall=_mean(recalls), ndcg=_mean(ndcgs))


def is_worse(candidate: Scores, than: Scores, *, tolerance: float) -> bool:
    """Whether a candidate finds less than the tolerance allows, in either measure."""
    return candidate.recall < than.recall - tolerance or candidate.ndcg < than.ndcg - tolerance


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / len(values), 6) if values else 0.0
