"""Show in Dagster what the stream lane did: run-less materialisations, one per bucket and asset."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence

import dagster as dg

from assets.rag.assets import RAG_ASSETS
from assets.rag.partitions import partition_of
from assets.resources import PlatformResource
from stores.letterbox import FinishedJob
from stores.sql.models import JobStatus, Lane

# Jobs one tick reports. An event takes about 7 ms, and a tick makes at most five per bucket, however many jobs.
_REPORTED_AT_ONCE = 5_000


@dg.sensor(
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports the jobs that the stream lane finished as materialisations of the five assets.",
)
def stream_reporter(context: dg.SensorEvaluationContext, platform: PlatformResource) -> dg.SkipReason:
    reported = asyncio.run(report_finished(platform, context.instance))
    return dg.SkipReason(f"Reported {reported} jobs that the stream lane finished.")


async def report_finished(platform: PlatformResource, instance: dg.DagsterInstance) -> int:
    """Report what is finished and unreported; return how many jobs that was.

    Events first, marks second: a crash between the two repeats events rather than losing them.
    """
    async with platform.letterbox() as letterbox:
        jobs = await letterbox.finished_unreported(Lane.STREAM, limit=_REPORTED_AT_ONCE)
        for event in materializations(jobs):
            instance.report_runless_asset_event(event)
        await letterbox.mark_reported(jobs)
    return len(jobs)


def materializations(jobs: Sequence[FinishedJob]) -> list[dg.AssetMaterialization]:
    """Return the events for `jobs`: each asset of each bucket once, with what they add up to."""
    buckets: dict[int, list[FinishedJob]] = defaultdict(list)
    for job in jobs:
        buckets[job.bucket].append(job)
    return [
        dg.AssetMaterialization(asset_key=asset.key, partition=partition_of(bucket), metadata=_counts(found))
        for bucket, found in sorted(buckets.items())
        for asset in RAG_ASSETS
    ]


def _counts(jobs: Sequence[FinishedJob]) -> dict[str, int | float | str]:
    statuses = Counter(job.status for job in jobs)
    seconds = sorted(job.seconds for job in jobs)
    return {
        "lane": Lane.STREAM.value,
        "jobs": len(jobs),
        "documents_indexed": statuses[JobStatus.SUCCEEDED],
        "documents_failed": statuses[JobStatus.FAILED],
        "jobs_cancelled": statuses[JobStatus.CANCELLED],
        "elements": sum(int(job.progress.get("elements", 0)) for job in jobs),
        "chunks": sum(int(job.progress.get("chunks", 0)) for job in jobs),
        "seconds_median": round(seconds[len(seconds) // 2], 3),
        "seconds_max": round(seconds[-1], 3),
    }
