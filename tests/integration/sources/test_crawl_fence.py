"""A crawl has one worker at a time, on every database: the others write nothing, whatever moment they lost it in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from core.clock import SystemClock
from core.errors import LeaseLost
from core.ids import TenantId, new_id
from pipelines.document import SourceFile
from pipelines.sources.base import Brought, Item, Listing
from pipelines.sources.crawl import Crawler, CrawlResult
from stores.blobs import BlobStore
from stores.buckets import bucket_of
from stores.letterbox import Letterbox
from stores.members import Members
from stores.outbox import Outbox
from stores.sources import Crawl, Crawls
from stores.sql.engine import Database
from stores.sql.models import CrawlRow, CrawlState, DocumentRow, JobRow, SourceRow, TenantRow

NAMES = [f"{number:03}.md" for number in range(150)]


@dataclass(slots=True)
class Shelf:
    """Implements Source. What is `before` an item is done once, when it is fetched."""

    names: list[str] = field(default_factory=lambda: list(NAMES))
    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)

    async def list(self, cursor: str | None) -> Listing:
        """In two parts, as a source of very many would."""
        half = self.names[::2] if cursor is None else self.names[1::2]
        items = [Item(external_id=name, uri=f"shelf:{name}", fingerprint=name) for name in half]
        return Listing(items=items, cursor="second half" if cursor is None else None)

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought:
        if (before := self.before.pop(item.external_id, None)) is not None:
            await before()
        return Brought(file=SourceFile(name=item.external_id, content=item.external_id.encode()))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def crawler(database: Database, tmp_path: Path, shelf: Shelf) -> Crawler:
    clock = SystemClock()
    outbox = Outbox(clock)
    lease = timedelta(seconds=30)
    letterbox = Letterbox(database, clock, lease=lease, sweep_after=lease)

    @asynccontextmanager
    async def opened(crawl: Crawl) -> AsyncIterator[Shelf]:
        yield shelf

    return Crawler(
        crawls=Crawls(database=database, outbox=outbox, clock=clock, new_id=new_id),
        members=Members(database=database, letterbox=letterbox, outbox=outbox, clock=clock, new_id=new_id),
        blobs=BlobStore((tmp_path / "blobs").as_uri()),
        open_source=opened,
    )


@pytest.fixture
async def bucket(database: Database) -> int:
    """Return the bucket of a tenant that has one source, which is due."""
    tenant_id, now = TenantId(new_id()), SystemClock().now()
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=now))
        await session.flush()
        session.add(
            SourceRow(
                id=new_id(),
                tenant_id=tenant_id,
                bucket=bucket_of(tenant_id),
                name="shelf",
                type="folder",
                location="shelf:",
                collection="default",
                user_metadata={},
                chunking={"strategy": "recursive", "chunk_tokens": 64, "overlap_tokens": 0},
                cadence_seconds=3600,
                max_delete_fraction=0.2,
                version=1,
                next_crawl_at=now,
                created_at=now,
                updated_at=now,
            )
        )
    return bucket_of(tenant_id)


async def end_the_lease(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(update(CrawlRow).values(available_at=CrawlRow.due_at))


async def rows(database: Database, model: type[Any]) -> list[Any]:
    async with database.reading() as session:
        return list(await session.scalars(select(model)))


async def test_workers_who_take_it_from_each_other_bring_each_document_once(
    database: Database, crawler: Crawler, bucket: int, shelf: Shelf
) -> None:
    """Each is overtaken while it fetches and goes on beside the next: nothing lost, doubled or miscounted."""
    overtakers: list[asyncio.Task[Any]] = []

    async def overtake() -> None:
        await end_the_lease(database)
        claimed = await crawler.crawls.claim(bucket)
        assert claimed is not None
        overtakers.append(asyncio.create_task(crawler.crawl(claimed)))

    shelf.before = {"005.md": overtake, "025.md": overtake, "065.md": overtake, "149.md": overtake}
    await crawler.crawls.post_due()
    claimed = await crawler.crawls.claim(bucket)
    assert claimed is not None
    async with asyncio.timeout(60):
        outcomes = list(await asyncio.gather(crawler.crawl(claimed), return_exceptions=True))
        while len(outcomes) <= len(overtakers):
            outcomes += await asyncio.gather(overtakers[len(outcomes) - 1], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LeaseLost] * 4 + [CrawlResult]
    [crawl] = await rows(database, CrawlRow)
    assert (crawl.state, crawl.attempt) == (CrawlState.SUCCEEDED, 5)
    assert (crawl.counts["listed"], crawl.counts["new"]) == (150, 150)
    assert sorted(row.source for row in await rows(database, DocumentRow)) == NAMES
    assert set(Counter(job.document_id for job in await rows(database, JobRow)).values()) == {1}


async def test_what_is_deleted_with_its_source_does_not_come_back(
    database: Database, crawler: Crawler, bucket: int, shelf: Shelf
) -> None:
    """A crawl that is fetching when its source is deleted brings nothing afterwards."""

    async def delete_the_source() -> None:
        assert len(await rows(database, DocumentRow)) == 20
        async with database.transaction() as session:
            await session.execute(delete(CrawlRow))
            await session.execute(delete(SourceRow))

    shelf.before = {"030.md": delete_the_source}
    await crawler.crawls.post_due()
    claimed = await crawler.crawls.claim(bucket)
    assert claimed is not None
    with pytest.raises(LeaseLost):
        await crawler.crawl(claimed)
    assert len(await rows(database, DocumentRow)) == 20


async def test_the_brake_counts_what_was_there_before_the_crawl(
    database: Database, crawler: Crawler, bucket: int, shelf: Shelf
) -> None:
    """A crawl that somebody else goes on with is braked as it would have been: its own documents do not loosen it."""
    shelf.names = NAMES[:20]
    await crawler.crawls.post_due()
    claimed = await crawler.crawls.claim(bucket)
    assert claimed is not None
    await crawler.crawl(claimed)

    async def die() -> None:
        raise ConnectionError("the worker is gone")

    shelf.names, shelf.before = NAMES[20:], {"145.md": die}
    async with database.transaction() as session:
        await session.execute(update(SourceRow).values(next_crawl_at=SystemClock().now()))
    await crawler.crawls.post_due()
    for _ in range(2):
        claimed = await crawler.crawls.claim(bucket)
        assert claimed is not None
        if claimed.attempt == 1:
            with pytest.raises(ConnectionError):
                await crawler.crawl(claimed)
            await end_the_lease(database)
    result = await crawler.crawl(claimed)
    assert (result.state, result.counts["new"], result.counts["deleted"]) == (CrawlState.BRAKED, 130, 0)
    assert len(await rows(database, DocumentRow)) == 150


@pytest.mark.parametrize(("before", "outcome"), [(3, None), (4, CrawlState.FAILED), (20, CrawlState.FAILED)])
async def test_a_crawl_that_never_ends_is_given_up(
    before: int, outcome: CrawlState | None, database: Database, crawler: Crawler, bucket: int, shelf: Shelf
) -> None:
    """A fault is tried again a few times, a death of workers more often, neither for ever; what was done stays."""

    async def break_down() -> None:
        raise ConnectionError("not the source's fault")

    shelf.before = {"030.md": break_down}
    await crawler.crawls.post_due()
    async with database.transaction() as session:
        await session.execute(update(CrawlRow).values(attempt=before))
    claimed = await crawler.crawls.claim(bucket)
    assert claimed is not None
    if outcome is None:
        with pytest.raises(ConnectionError):
            await crawler.crawl(claimed)
    else:
        assert (await crawler.crawl(claimed)).state == outcome
    assert len(await rows(database, DocumentRow)) == (20 if before < 20 else 0)
