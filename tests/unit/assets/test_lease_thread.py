"""Leases are renewed while the thread runs, put-down jobs no more, and nothing after it stops."""

import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from assets.lease_thread import LeaseThread
from core.ids import DocumentId, JobId, TenantId
from stores.letterbox import Job, Letterbox
from stores.sql.models import JobKind, Lane

LEASE = timedelta(seconds=0.06)
PATIENCE_SECONDS = 10


def a_job(name: str) -> Job:
    return Job(
        id=JobId(name),
        tenant_id=TenantId("t"),
        kind=JobKind.INGEST,
        document_id=DocumentId(name),
        revision=1,
        bucket=0,
        lane=Lane.BATCH,
        attempt=1,
        fence=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


class RenewingLetterbox:
    """Remembers what was renewed, and says when it was."""

    def __init__(self) -> None:
        self.renewed: list[set[str]] = []
        self.progress: list[Mapping[JobId, Mapping[str, Any]]] = []
        self.changed = threading.Condition()

    async def renew(self, jobs: Sequence[Job], progress: Mapping[JobId, Mapping[str, Any]]) -> list[Job]:
        with self.changed:
            self.renewed.append({job.id for job in jobs})
            self.progress.append(progress)
            self.changed.notify_all()
        return list(jobs)

    def wait_for(self, ids: set[str]) -> bool:
        """Wait until the last renewal was of these jobs."""
        with self.changed:
            return self.changed.wait_for(lambda: self.renewed[-1:] == [ids], timeout=PATIENCE_SECONDS)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Letterbox]:
        yield cast(Letterbox, self)


def test_jobs_are_renewed_until_they_are_put_down() -> None:
    """All jobs are renewed at first; one that is put down is left out of later renewals."""
    letterbox = RenewingLetterbox()
    jobs = [a_job("a"), a_job("b")]
    thread = LeaseThread(letterbox.open, jobs, lease=LEASE)
    thread.start()
    try:
        assert letterbox.wait_for({"a", "b"})
        thread.put_down(jobs[:1])
        assert letterbox.wait_for({"b"})
    finally:
        thread.stop()


def test_progress_is_written_once_with_the_next_renewal() -> None:
    """What a step reports goes out with a renewal, and not again until there is news."""
    letterbox = RenewingLetterbox()
    thread = LeaseThread(letterbox.open, [a_job("a"), a_job("b")], lease=LEASE)
    thread.start()
    try:
        thread.report({JobId("a"): {"stage": "parsed"}})
        with letterbox.changed:
            assert letterbox.changed.wait_for(lambda: any(letterbox.progress), timeout=PATIENCE_SECONDS)
            told = len(letterbox.progress)
            assert letterbox.changed.wait_for(lambda: len(letterbox.progress) > told + 1, timeout=PATIENCE_SECONDS)
    finally:
        thread.stop()
    assert [progress for progress in letterbox.progress if progress] == [{"a": {"stage": "parsed"}}]


def test_nothing_is_renewed_after_the_stop() -> None:
    """When `stop` returns the thread has ended."""
    letterbox = RenewingLetterbox()
    before = threading.active_count()
    thread = LeaseThread(letterbox.open, [a_job("a")], lease=LEASE)
    thread.start()
    assert letterbox.wait_for({"a"})
    thread.stop()
    assert threading.active_count() == before


def test_letterbox_that_does_not_open_is_told_at_the_start() -> None:
    """A run that cannot keep its leases learns so at once."""

    @asynccontextmanager
    async def broken() -> AsyncIterator[Letterbox]:
        raise ConnectionError("the database is away")
        yield

    with pytest.raises(ConnectionError, match="the database is away"):
        LeaseThread(broken, [a_job("a")], lease=LEASE).start()
