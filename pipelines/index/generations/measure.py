"""Measure two generations by the same golden questions, and say whether the candidate is worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.ids import DocumentId
from pipelines.index.indexes import Indexes
from pipelines.retrieval.evaluate import DEPTH, Ask, Scores, evaluate, is_worse
from pipelines.retrieval.query import QueryRequest, search
from stores.generations import Generation
from stores.golden_sets import GoldenSet, GoldenSets
from stores.lance import LanceStore

# Chunks asked for, so that ten documents are among them when each comes with several chunks.
_CHUNKS = 100
# Measurements that a generation remembers of itself, for the trend.
_REMEMBERED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """How both answered one set."""

    golden_set: GoldenSet
    active: Scores
    candidate: Scores
    worse: bool


async def measure(
    lance: LanceStore,
    indexes: Indexes,
    golden_sets: GoldenSets,
    *,
    active: Generation,
    candidate: Generation,
    tolerance: float,
) -> list[Measurement]:
    """Return a measurement for each golden set of the tenant; a set without living answers measures nothing."""
    measured = []
    for golden_set in await golden_sets.of(candidate.tenant_id):
        old, new = [
            await evaluate(golden_set.questions, asking(lance, indexes, generation))
            for generation in (active, candidate)
        ]
        worse = is_worse(new, old, tolerance=tolerance)
        measured.append(Measurement(golden_set=golden_set, active=old, candidate=new, worse=worse))
    return measured


def asking(lance: LanceStore, indexes: Indexes, generation: Generation) -> Ask:
    """Return what answers a question from one generation, with documents."""

    async def visible(document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        return await indexes.generations.visible(generation.tenant_id, generation, document_ids)

    async def ask(query: str) -> Sequence[DocumentId]:
        table = await lance.find_table(generation.tenant_id, generation.table_space, generation.dimensions)
        if table is None:
            return []
        hits = await search(table, indexes.embedder(generation), QueryRequest(query=query, limit=_CHUNKS), visible)
        return list(dict.fromkeys(hit.document_id for hit in hits))

    return ask


def evaluation_of(
    measured: Sequence[Measurement],
    *,
    active: Generation,
    tolerance: float,
    at: datetime,
    before: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return measurements as they are kept; `before` is what was kept last, for the trend."""
    history = list((before or {}).get("history", []))
    point = {
        "at": at.isoformat(),
        "recall": _mean([each.candidate.recall for each in measured]),
        "ndcg": _mean([each.candidate.ndcg for each in measured]),
    }
    return {
        "against": active.number,
        "depth": DEPTH,
        "tolerance": tolerance,
        "worse": any(each.worse for each in measured),
        "sets": [
            {
                "golden_set_id": each.golden_set.id,
                "name": each.golden_set.name,
                "version": each.golden_set.version,
                "questions": each.candidate.questions,
                "active": {"recall": each.active.recall, "ndcg": each.active.ndcg},
                "candidate": {"recall": each.candidate.recall, "ndcg": each.candidate.ndcg},
                "worse": each.worse,
            }
            for each in measured
        ],
        "history": [*history, point][-_REMEMBERED:] if measured else history,
    }


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 6) if values else 0.0
