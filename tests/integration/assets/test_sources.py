"""Sources are crawled by Dagster runs: once a due time, in step with what they have, never deleting too much."""

import asyncio
import base64
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import delete

from assets.rag.partitions import partition_of
from core.errors import LeaseLost
from pipelines.sources.crawl import Crawler
from stores.buckets import bucket_of
from stores.crawl_keeper import keep
from stores.sql.models import CrawlRow, CrawlState, DocumentStatus, SourceRow
from tests.integration.assets.batch import Batch, materialized
from tests.integration.assets.crawling import (
    ask_again,
    crawl,
    last_crawl,
    let_crawl_leases_end,
    living,
    source,
    tick,
    with_crawler,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that sources may be in, before settings are read."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setenv("CODEXOS_SOURCE_FOLDERS", tmp_path.as_uri())
    return folder


def picture(markdown: str) -> ElementTree.Element:
    return ElementTree.fromstring(base64.b64decode(markdown.split("base64,")[1].removesuffix(")")))


def fill(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:02d}.md").write_text(f"Paragraph {number} of the lease says what it says.")


def test_a_folder_becomes_documents_and_stays_in_step(folder: Path, batch: Batch) -> None:
    """New files are posted, changed ones revised, unchanged ones left alone, vanished ones deleted; all by a run."""
    tenant_id = batch.tenant()
    bucket = bucket_of(tenant_id)
    fill(folder, 10)
    (folder / ".hidden").write_text("no document")
    source(batch, tenant_id, folder.as_uri())
    assert tick(batch) == [partition_of(bucket)]
    assert crawl(batch, bucket).success
    assert last_crawl(batch).counts == {
        "listed": 10, "new": 10, "changed": 0, "unchanged": 0, "deleted": 0, "failed": 0
    }  # fmt: skip
    batch.materialize(bucket, documents={"scope": "pending"})
    assert {row.status for row in living(batch).values()} == {DocumentStatus.INDEXED}
    assert living(batch)["03.md"].user_metadata["team"] == "law"

    (folder / "00.md").unlink()
    (folder / "01.md").write_text("Something else entirely.")
    (folder / "new.md").write_text("A new file.")
    ask_again(batch)
    shown = materialized(crawl(batch, bucket), "crawled_sources")
    assert [point.text for point in picture(shown["trend"]).iter() if point.tag.endswith("}title")] == [
        "new 10", "new 1", "changed 0", "changed 1", "deleted 0", "deleted 1", "failed 0", "failed 0"
    ]  # fmt: skip
    assert last_crawl(batch).counts == {
        "listed": 10, "new": 1, "changed": 1, "unchanged": 8, "deleted": 1, "failed": 0
    }  # fmt: skip
    now = living(batch)
    assert "00.md" not in now
    assert {name: row.revision for name, row in now.items() if row.revision != 1} == {"01.md": 2}


def test_a_due_time_is_one_crawl_however_many_look(folder: Path, batch: Batch) -> None:
    """Two daemons at once post one crawl, and two workers at once do it once."""
    tenant_id = batch.tenant()
    fill(folder, 3)
    source(batch, tenant_id, folder.as_uri())

    async def both(crawler: Crawler) -> tuple[list[int], list[Any]]:
        posted = await asyncio.gather(*(crawler.crawls.post_due() for _ in range(4)))
        claimed = await asyncio.gather(*(crawler.crawls.claim(bucket_of(tenant_id)) for _ in range(4)))
        return posted, [crawl for crawl in claimed if crawl is not None]

    posted, claimed = with_crawler(batch, both)
    assert sum(posted) == len(claimed) == len(batch._rows(CrawlRow)) == 1


def test_the_brake_deletes_nothing(folder: Path, batch: Batch) -> None:
    """When more has vanished than the source allows, nothing is deleted, and the crawl and an event say so."""
    tenant_id = batch.tenant()
    fill(folder, 10)
    source(batch, tenant_id, folder.as_uri())
    tick(batch)
    crawl(batch, bucket_of(tenant_id))
    for number in range(3):
        (folder / f"{number:02d}.md").unlink()
    ask_again(batch)
    crawl(batch, bucket_of(tenant_id))
    braked = last_crawl(batch)
    assert (braked.state, braked.error_code, braked.counts["deleted"]) == (CrawlState.BRAKED, "SOURCE_BRAKED", 0)
    assert "3 of 10 documents" in (braked.error_message or "")
    assert len(living(batch)) == 10
    assert batch.events()["rag.source.braked"] == 1


def test_a_folder_that_is_away_deletes_nothing(folder: Path, batch: Batch) -> None:
    """A listing that fails is no empty listing, even where everything may be deleted at once."""
    tenant_id = batch.tenant()
    fill(folder, 4)
    source(batch, tenant_id, folder.as_uri(), max_delete_fraction=1.0)
    tick(batch)
    crawl(batch, bucket_of(tenant_id))
    folder.rename(folder.with_name("elsewhere"))
    ask_again(batch)
    crawl(batch, bucket_of(tenant_id))
    assert (last_crawl(batch).state, last_crawl(batch).error_code) == (CrawlState.FAILED, "SOURCE_NOT_FOUND")
    assert len(living(batch)) == 4


@pytest.mark.parametrize("before", ["put", "note", "retire", "close"])
def test_a_crawl_that_dies_is_gone_on_with(
    before: str, folder: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step a worker dies before, the next one ends the crawl: nothing is lost, doubled or miscounted."""
    tenant_id = batch.tenant()
    fill(folder, 30)
    source(batch, tenant_id, folder.as_uri())
    tick(batch)
    crawl(batch, bucket_of(tenant_id))
    (folder / "03.md").unlink()
    fill(folder / "more", 50)
    ask_again(batch)

    class Died(BaseException):
        """What ends a process is caught by nobody."""

    async def die(crawler: Crawler) -> None:
        claimed = await crawler.crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        owner = type(crawler.members if before in ("put", "retire") else crawler.crawls)
        done = getattr(owner, before)
        calls = Counter[str]()

        async def dying(self: Any, *given: Any) -> Any:
            calls[before] += 1
            if calls[before] >= (2 if before in ("put", "note") else 1):
                raise Died
            return await done(self, *given)

        monkeypatch.setattr(owner, before, dying)
        with pytest.raises(Died):
            await crawler.crawl(claimed)
        monkeypatch.setattr(owner, before, done)

    with_crawler(batch, die)
    let_crawl_leases_end(batch)
    crawl(batch, bucket_of(tenant_id))
    assert last_crawl(batch).state == CrawlState.SUCCEEDED
    assert last_crawl(batch).counts == {
        "listed": 79, "new": 50, "changed": 0, "unchanged": 29, "deleted": 1, "failed": 0
    }  # fmt: skip
    assert (len(living(batch)), len(batch.documents()), len(batch.jobs())) == (79, 80, 81)


def test_who_has_lost_a_crawl_writes_nothing(folder: Path, batch: Batch) -> None:
    """A worker that stood still while another took its crawl neither adds nor deletes a document."""
    tenant_id = batch.tenant()
    fill(folder, 5)
    source(batch, tenant_id, folder.as_uri())

    async def overtaken(crawler: Crawler) -> None:
        await crawler.crawls.post_due()
        slow = await crawler.crawls.claim(bucket_of(tenant_id))
        assert slow is not None
        await asyncio.to_thread(let_crawl_leases_end, batch)
        assert await crawler.crawls.claim(bucket_of(tenant_id)) is not None
        with pytest.raises(LeaseLost):
            await crawler.crawl(slow)

    with_crawler(batch, overtaken)
    assert (batch.documents(), batch.jobs(), last_crawl(batch).counts) == ({}, [], {})


def test_a_crawl_of_a_source_that_was_deleted_writes_nothing(folder: Path, batch: Batch) -> None:
    """Its documents would be nobody's: whoever is at work finds out with the next write."""
    tenant_id = batch.tenant()
    fill(folder, 5)
    source(batch, tenant_id, folder.as_uri())

    async def deleted(crawler: Crawler) -> None:
        await crawler.crawls.post_due()
        claimed = await crawler.crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        async with crawler.crawls.database.transaction() as session:
            await session.execute(delete(CrawlRow))
            await session.execute(delete(SourceRow))
        with pytest.raises(LeaseLost):
            await crawler.crawl(claimed)

    with_crawler(batch, deleted)
    assert (batch.documents(), batch.jobs()) == ({}, [])


def test_a_slow_site_costs_nobody_the_lease(folder: Path, batch: Batch) -> None:
    """While its worker lives a crawl is renewed, however long it waits for an answer."""
    tenant_id = batch.tenant()
    fill(folder, 1)
    source(batch, tenant_id, folder.as_uri())

    async def waits(crawler: Crawler) -> None:
        await crawler.crawls.post_due()
        claimed = await crawler.crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        await asyncio.to_thread(let_crawl_leases_end, batch)
        async with keep(crawler.crawls, claimed, lease=timedelta(milliseconds=60)), asyncio.timeout(10):
            while (await asyncio.to_thread(last_crawl, batch)).available_at < crawler.crawls.clock.now():
                await asyncio.sleep(0.01)
        assert await crawler.crawls.claim(bucket_of(tenant_id)) is None

    with_crawler(batch, waits)
