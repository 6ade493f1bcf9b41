"""Post a crawl for each source that is due, and start a run for each bucket that has crawls waiting."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from assets.rag.partitions import partition_of
from assets.rag.sensors import partitions_at_work
from assets.resources import PlatformResource
from assets.sources.assets import crawled_sources

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

CRAWL_SOURCES = dg.define_asset_job(
    "crawl_sources",
    selection=dg.AssetSelection.assets(crawled_sources),
    description="Crawl the sources of a bucket that are due.",
)


@dg.sensor(
    job=CRAWL_SOURCES,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Crawls sources when their cadence says so, or when they were asked for.",
)
def source_crawler(
    context: dg.SensorEvaluationContext, platform: PlatformResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    waiting = asyncio.run(_look(platform))
    ours = dg.RunsFilter(job_name=CRAWL_SOURCES.name, statuses=_UNFINISHED)
    # A run that is at work takes what comes to its bucket; should it have died, its crawls wait for its lease as well.
    starting = partitions_at_work(context.instance.get_run_records(ours), set(), now=datetime.now(UTC))
    wanted = [partition_of(bucket) for bucket in sorted(waiting)]
    startable = [partition for partition in wanted if partition not in starting]
    if not startable:
        yield dg.SkipReason(f"{sum(waiting.values())} crawls waiting, {len(starting)} runs are starting.")
    for partition in startable[:1]:  # a run is a process; the next tick starts the next
        yield dg.RunRequest(partition_key=partition)


async def _look(platform: PlatformResource) -> dict[int, int]:
    async with platform.crawls() as crawls:
        await crawls.post_due()
        return await crawls.buckets_waiting()
