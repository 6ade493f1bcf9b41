"""While a long document is embedded, its job says how far that is."""

from datetime import UTC, datetime

import numpy as np
import pytest

from core.ids import DocumentId, JobId, TenantId
from pipelines import ingest
from pipelines.document import Passage
from pipelines.ingest import Work
from stores.letterbox import Job
from stores.sql.models import JobKind, Lane


def work(name: str, passages: int) -> Work:
    job = Job(
        id=JobId(name),
        tenant_id=TenantId("t"),
        kind=JobKind.INGEST,
        document_id=DocumentId(name),
        revision=1,
        bucket=0,
        lane=Lane.STREAM,
        attempt=1,
        fence=1,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
    cut = tuple(Passage(position=place, text="x", start=0, end=1, tokens=1) for place in range(passages))
    return Work(job=job, passages=cut, vectors=np.empty((0, 4), np.float32))


@pytest.mark.parametrize("at_once", [1, 3, 4, 100])
def test_counts_grow_to_the_number_of_passages(at_once: int) -> None:
    """Slices that cut documents in two, or hold several, tell each document its own count, and never too much."""
    works = [work("a", 5), work("none", 0), work("b", 7), work("c", 1)]
    total = sum(len(each.passages) for each in works)
    told: dict[str, list[int]] = {}
    for first in range(0, total, at_once):
        ingest._tell(
            lambda each, count: told.setdefault(each.job.id, []).append(count),
            works,
            first,
            min(first + at_once, total),
        )
    assert {name: counts[-1] for name, counts in told.items()} == {"a": 5, "b": 7, "c": 1}
    assert all(counts == sorted(set(counts)) for counts in told.values())
