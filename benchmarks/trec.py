"""Collections in BEIR's layout and trec_eval's measures over them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Scores = Mapping[str, float]
"""Document id to score, for one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """`passages` and `queries` by id; `judged` gives each query's documents their grade."""

    name: str
    passages: Mapping[str, str]
    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, int]]


def read_collection(folder: Path) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`. A passage is its title and its text."""
    judged: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query_id, document_id, grade = line.split("\t")
        judged.setdefault(query_id, {})[document_id] = int(grade)
    answerable = {query_id for query_id, grades in judged.items() if any(grade > 0 for grade in grades.values())}
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    return Collection(
        name=folder.name,
        passages={
            row["_id"]: f"{row.get('title', '')} {row['text']}".strip() for row in _rows(folder / "corpus.jsonl")
        },
        queries={query_id: text for query_id, text in queries.items() if query_id in answerable},
        judged=judged,
    )


def ndcg(scores: Scores, grades: Mapping[str, int], k: int) -> float:
    """Normalised discounted cumulative gain at k: linear gain, log2(rank + 1), ideal from all judged documents."""
    gains = [max(0, grades.get(document_id, 0)) for document_id in _ranked(scores)[:k]]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:k]
    return _discounted(gains) / _discounted(ideal)


def recall(scores: Scores, grades: Mapping[str, int], k: int) -> float:
    """Share of the relevant documents that are among the first k."""
    relevant = {document_id for document_id, grade in grades.items() if grade > 0}
    return len(relevant.intersection(_ranked(scores)[:k])) / len(relevant)


def _ranked(scores: Scores) -> Sequence[str]:
    # trec_eval takes no notice of ranks: by score, and equal scores by descending id.
    return sorted(scores, key=lambda document_id: (scores[document_id], document_id), reverse=True)


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
