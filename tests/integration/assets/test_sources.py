"""Sources are crawled by Dagster runs: once a due time, in step with what they have, never deleting too much."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from assets.definitions import definitions_with
from assets.rag.partitions import partition_of
from assets.sources.sensors import source_crawler
from core.ids import TenantId, new_id
from pipelines.sources.crawl import Crawler
from stores.buckets import bucket_of
from stores.sources import crawl_of
from stores.sql.models import CrawlRow, CrawlState, DocumentRow, DocumentStatus, SourceRow
from tests.factories.posting import Poster
from tests.integration.assets.batch import Batch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that sources may be in, before settings are read."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setenv("CODEXOS_SOURCE_FOLDERS", tmp_path.as_uri())
    return folder


def source(batch: Batch, tenant_id: TenantId, location: str, **given: Any) -> str:
    """Make a source that is due now."""

    async def add(poster: Poster) -> str:
        now = poster.clock.now()
        row = SourceRow(
            id=new_id(),
            tenant_id=tenant_id,
            bucket=bucket_of(tenant_id),
            name=given.get("name", location[-90:]),
            type="folder",
            location=location,
            collection="default",
            user_metadata={"team": "law"},
            chunking={"strategy": "recursive", "chunk_tokens": 64, "overlap_tokens": 0},
            cadence_seconds=3600,
            max_delete_fraction=given.get("max_delete_fraction", 0.2),
            version=1,
            next_crawl_at=now,
            created_at=now,
            updated_at=now,
        )
        async with poster.database.transaction() as session:
            session.add(row)
        return row.id

    return batch.run(add)


def ask_again(batch: Batch) -> None:
    """Ask for a crawl of every source, as POST …/crawl does."""

    async def add(poster: Poster) -> None:
        now = poster.clock.now()
        async with poster.database.transaction() as session:
            for row in await session.scalars(select(SourceRow)):
                session.add(crawl_of(row, new_id(), due_at=now, now=now))

    batch.run(add)


def tick(batch: Batch) -> list[str]:
    """Let the sensor look; return the partitions it asks for runs of."""
    repository = definitions_with(batch.platform).get_repository_def()
    with dg.build_sensor_context(
        instance=batch.instance, repository_def=repository, resources={"platform": batch.platform}
    ) as context:
        evaluated = source_crawler.evaluate_tick(context)
    return [request.partition_key or "" for request in evaluated.run_requests or []]


def crawl(batch: Batch, bucket: int) -> dg.ExecuteInProcessResult:
    job = definitions_with(batch.platform).resolve_job_def("crawl_sources")
    return job.execute_in_process(instance=batch.instance, partition_key=partition_of(bucket))


def last_crawl(batch: Batch) -> CrawlRow:
    return max(batch._rows(CrawlRow), key=lambda row: row.due_at)


def with_crawler(batch: Batch, work: Callable[[Crawler], Coroutine[Any, Any, Any]]) -> Any:
    async def do() -> Any:
        async with batch.platform.crawler() as crawler:
            return await work(crawler)

    return asyncio.run(do())


def living(batch: Batch) -> dict[str, DocumentRow]:
    return {row.source: row for row in batch.documents().values() if row.status != DocumentStatus.DELETED}


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
    crawl(batch, bucket)
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


@pytest.mark.parametrize("before", ["put", "renew", "retire", "close"])
def test_a_crawl_that_dies_is_gone_on_with(
    before: str, folder: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever step a worker dies before, the next one ends the crawl: nothing is lost and nothing is there twice."""
    tenant_id = batch.tenant()
    fill(folder, 50)
    source(batch, tenant_id, folder.as_uri())

    class Died(BaseException):
        """What ends a process is caught by nobody."""

    async def die(crawler: Crawler) -> None:
        await crawler.crawls.post_due()
        claimed = await crawler.crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        owner = type(crawler.members if before in ("put", "retire") else crawler.crawls)
        done = getattr(owner, before)
        calls = Counter[str]()

        async def dying(self: Any, *given: Any) -> Any:
            calls[before] += 1
            if calls[before] >= (2 if before in ("put", "renew") else 1):
                raise Died
            return await done(self, *given)

        monkeypatch.setattr(owner, before, dying)
        with pytest.raises(Died):
            await crawler.crawl(claimed)
        monkeypatch.undo()

    with_crawler(batch, die)
    monkeypatch.setenv("CODEXOS_SOURCE_FOLDERS", folder.parent.as_uri())

    async def end_the_lease(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            for row in await session.scalars(select(CrawlRow)):
                row.available_at = poster.clock.now() - timedelta(seconds=1)

    batch.run(end_the_lease)

    async def go_on(crawler: Crawler) -> None:
        claimed = await crawler.crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        await crawler.crawl(claimed)

    with_crawler(batch, go_on)
    assert last_crawl(batch).state == CrawlState.SUCCEEDED
    assert len(living(batch)) == len(batch.documents()) == len(batch.jobs()) == 50
