"""What tests of crawls do: make sources, let the sensor look, run the job, look at what came of it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import dagster as dg
from sqlalchemy import select

from assets.definitions import definitions_with
from assets.rag.partitions import partition_of
from assets.sources.sensors import source_crawler
from core.ids import TenantId, new_id
from pipelines.sources.crawl import Crawler
from stores.buckets import bucket_of
from stores.sources import crawl_of
from stores.sql.models import CrawlRow, DocumentRow, DocumentStatus, SourceRow
from tests.factories.posting import Poster
from tests.integration.assets.batch import Batch


def source(batch: Batch, tenant_id: TenantId, location: str, **given: Any) -> str:
    """Make a source that is due now."""

    async def add(poster: Poster) -> str:
        now = poster.clock.now()
        row = SourceRow(
            id=new_id(),
            tenant_id=tenant_id,
            bucket=bucket_of(tenant_id),
            name=given.get("name", location[-90:]),
            type=given.get("type", "folder"),
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


def let_crawl_leases_end(batch: Batch) -> None:
    """Make every lease of a crawl end now, as waiting for it would."""

    async def end(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            for row in await session.scalars(select(CrawlRow)):
                row.available_at = poster.clock.now() - timedelta(seconds=1)

    batch.run(end)
