"""Which sources are due, and who is crawling them: one crawl a due time, one worker a crawl."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, select, update

from core.clock import Clock
from core.errors import CodexError, LeaseLost
from core.events import EventType
from core.ids import TenantId
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import CrawlRow, CrawlState, SourceRow

OPEN_CRAWLS = (CrawlState.QUEUED, CrawlState.RUNNING)
# Whoever crawls renews it while it lives: so long a crawl waits when its worker has died.
LEASE = timedelta(seconds=60)
_EVENTS = {
    CrawlState.SUCCEEDED: EventType.RAG_SOURCE_CRAWLED,
    CrawlState.BRAKED: EventType.RAG_SOURCE_BRAKED,
    CrawlState.FAILED: EventType.RAG_SOURCE_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlProgress:
    """How far a crawl has come, and what of it went wrong."""

    counts: Mapping[str, int] = field(default_factory=dict)
    cursor: str | None = None
    failures: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl:
    """A claimed crawl and what its source was when it was claimed."""

    id: str
    attempt: int
    source_id: str
    tenant_id: TenantId
    name: str
    type: str
    location: str
    collection: str
    metadata: Mapping[str, Any]
    chunking: Mapping[str, Any]
    max_delete_fraction: float
    progress: CrawlProgress = field(default_factory=CrawlProgress)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawls:
    database: Database
    outbox: Outbox
    clock: Clock
    new_id: Callable[[], str]

    async def post_due(self) -> int:
        """Post a crawl for every source whose time has come and that is not being crawled; return how many.

        Whoever else does this at the same moment waits for the rows, and finds them moved on.
        """
        now = self.clock.now()
        due = _due(now)
        async with self.database.reading() as session:  # without the write lock: most of the time there is nothing
            if await session.scalar(select(SourceRow.id).where(due).limit(1)) is None:
                return 0
        async with self.database.transaction() as session:
            query = select(SourceRow).where(due).with_for_update(skip_locked=True, of=SourceRow)
            rows = list(await session.scalars(query))
            for row in rows:
                session.add(crawl_of(row, self.new_id(), due_at=row.next_crawl_at or now, now=now))
                row.next_crawl_at = next_after(row.next_crawl_at or now, row.cadence_seconds, now=now)
            return len(rows)

    async def buckets_waiting(self) -> dict[int, int]:
        """Return how many crawls each bucket has that nobody is at work on."""
        query = select(CrawlRow.bucket, func.count()).where(_claimable(self.clock.now())).group_by(CrawlRow.bucket)
        async with self.database.reading() as session:
            return {row[0]: row[1] for row in await session.execute(query)}

    async def claim(self, bucket: int) -> Crawl | None:
        """Take the crawl of `bucket` that waits longest, under a lease; one whose worker died is taken again."""
        now = self.clock.now()
        query = (
            select(CrawlRow, SourceRow)
            .join(SourceRow, SourceRow.id == CrawlRow.source_id)
            .where(CrawlRow.bucket == bucket, _claimable(now))
            .order_by(CrawlRow.due_at, CrawlRow.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=CrawlRow)
        )
        async with self.database.transaction() as session:
            found = (await session.execute(query)).first()
            if found is None:
                return None
            crawl, source = found
            crawl.state, crawl.attempt, crawl.available_at = CrawlState.RUNNING, crawl.attempt + 1, now + LEASE
            crawl.started_at = crawl.started_at or now
            return _crawl(crawl, source)

    async def ended(self, bucket: int, *, limit: int) -> list[Mapping[str, int]]:
        """Return what the last crawls of a bucket that have ended counted, the oldest first."""
        query = (
            select(CrawlRow.counts)
            .where(CrawlRow.bucket == bucket, CrawlRow.finished_at.is_not(None))
            .order_by(CrawlRow.finished_at.desc(), CrawlRow.id.desc())
            .limit(limit)
        )
        async with self.database.reading() as session:
            return list(await session.scalars(query))[::-1]

    async def renew(self, crawl: Crawl) -> None:
        """Prolong the lease. Raises LeaseLost."""
        await self._update(crawl, {"available_at": self.clock.now() + LEASE})

    async def note(self, crawl: Crawl, progress: CrawlProgress) -> None:
        """Prolong the lease and write down how far the crawl has come. Raises LeaseLost."""
        await self._update(crawl, {"available_at": self.clock.now() + LEASE, **_written(progress)})

    @asynccontextmanager
    async def fenced(self, crawl: Crawl) -> AsyncIterator[None]:
        """Commit what this block writes, as one, if the crawl is still ours. Raises LeaseLost.

        Nobody can take the crawl over, nor delete its source, between the question and the commit.
        """
        async with self.database.unit_of_work() as work:
            await self.renew(crawl)
            yield
            await work.commit()

    async def close(
        self, crawl: Crawl, state: CrawlState, progress: CrawlProgress, failure: CodexError | None = None
    ) -> None:
        """Close the crawl and tell of it in one transaction. Raises LeaseLost."""
        said = {"error_code": failure.code, "error_message": failure.message} if failure else {}
        values = {"state": state, "finished_at": self.clock.now(), **_written(progress), **said}
        payload = {"source_id": crawl.source_id, "crawl_id": crawl.id, "name": crawl.name, **progress.counts, **said}
        await self._update(crawl, values, (_EVENTS[state], payload))

    async def _update(
        self, crawl: Crawl, values: Mapping[str, Any], event: tuple[EventType, Mapping[str, Any]] | None = None
    ) -> None:
        ours = (CrawlRow.id == crawl.id, CrawlRow.attempt == crawl.attempt, CrawlRow.state == CrawlState.RUNNING)
        async with self.database.transaction() as session:
            changed = await session.execute(
                update(CrawlRow)
                .where(*ours)
                .values(**values)
                .returning(CrawlRow.id)
                .execution_options(synchronize_session=False)
            )
            if changed.first() is None:
                raise LeaseLost(f"Crawl {crawl.id} was taken over, or its source was deleted.")
            if event is not None:
                self.outbox.append(session, crawl.tenant_id, *event)


def _written(progress: CrawlProgress) -> dict[str, Any]:
    return {
        "counts": dict(progress.counts),
        "cursor": progress.cursor,
        "failures": [dict(failure) for failure in progress.failures],
    }


def next_after(due_at: datetime, cadence_seconds: int | None, *, now: datetime) -> datetime | None:
    """Return the first time after `now` in step with `due_at`: what was missed is made up for once, not many times."""
    if cadence_seconds is None:
        return None
    missed = max(0, int((now - due_at).total_seconds() // cadence_seconds))
    return due_at + timedelta(seconds=cadence_seconds * (missed + 1))


def crawl_of(source: SourceRow, crawl_id: str, *, due_at: datetime, now: datetime) -> CrawlRow:
    """Return a new crawl of `source`, waiting."""
    return CrawlRow(
        id=crawl_id,
        source_id=source.id,
        tenant_id=source.tenant_id,
        bucket=source.bucket,
        state=CrawlState.QUEUED,
        due_at=due_at,
        available_at=now,
        attempt=0,
        counts={},
    )


def _due(now: datetime) -> ColumnElement[bool]:
    is_crawled = exists(select(CrawlRow.id).where(CrawlRow.source_id == SourceRow.id, CrawlRow.state.in_(OPEN_CRAWLS)))
    return (SourceRow.next_crawl_at <= now) & SourceRow.paused_at.is_(None) & ~is_crawled


def _claimable(now: datetime) -> ColumnElement[bool]:
    return CrawlRow.state.in_(OPEN_CRAWLS) & (CrawlRow.available_at <= now)


def _crawl(crawl: CrawlRow, source: SourceRow) -> Crawl:
    return Crawl(
        id=crawl.id,
        attempt=crawl.attempt,
        source_id=source.id,
        tenant_id=TenantId(source.tenant_id),
        name=source.name,
        type=source.type,
        location=source.location,
        collection=source.collection,
        metadata=source.user_metadata,
        chunking=source.chunking,
        max_delete_fraction=source.max_delete_fraction,
        progress=CrawlProgress(counts=crawl.counts, cursor=crawl.cursor, failures=crawl.failures or ()),
    )
