"""How far a job has come, and how long it will take."""

from datetime import UTC, datetime, timedelta

import pytest

from server.rag.jobs.schemas import JobView, share_done
from stores.sql.models import JobRow

BEGAN = datetime(2026, 11, 23, tzinfo=UTC)


def job(**values: object) -> JobRow:
    usual = {"kind": "rag.ingest", "status": "processing", "attempt": 1, "progress": {}, "started_at": BEGAN}
    names = {"id": "j", "document_id": "d", "revision": 1, "created_at": BEGAN}
    return JobRow(**{**usual, **names, **values})


def test_the_share_grows_with_every_stage_and_chunk() -> None:
    """From nothing to everything, never back."""
    said = [
        {},
        {"stage": "parsed", "elements": 9},
        {"stage": "chunked", "chunks": 10},
        *({"stage": "chunked", "chunks": 10, "embedded": count} for count in (1, 5, 9)),
        {"stage": "embedded", "chunks": 10, "embedded": 10},
        {"stage": "indexed", "chunks": 10},
    ]
    shares = [share_done(progress) for progress in said]
    assert shares == sorted(set(shares))
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_the_rest_takes_as_long_in_proportion() -> None:
    """A job of which 90 % were done in 18 seconds has two to go."""
    row = job(progress={"stage": "embedded", "chunks": 4, "embedded": 4})
    assert JobView.of(row, BEGAN + timedelta(seconds=18)).eta_seconds == 2.0


@pytest.mark.parametrize(
    "values",
    [
        {"status": "queued", "started_at": None},
        {"status": "succeeded", "progress": {"stage": "indexed"}},
        {"progress": {}},
        {"attempt": 2, "progress": {"stage": "parsed"}},
    ],
)
def test_what_is_not_known_is_not_guessed(values: dict[str, object]) -> None:
    """Waiting, finished, just begun, or begun anew."""
    assert JobView.of(job(**values), BEGAN + timedelta(seconds=5)).eta_seconds is None
