"""Start a run for each bucket that has work the batch lane may take: posted to it, or overdue in the stream lane."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from assets.rag.assets import DocumentsConfig, owner_of
from assets.rag.jobs import INDEX_DOCUMENTS
from assets.rag.partitions import partition_of
from assets.resources import PlatformResource
from stores.sql.models import Lane

_PARTITION_TAG = "dagster/partition"
# Runs are processes of half a gigabyte each; more at once than cores would only wait for one another.
_RUNS_AT_ONCE = 2
# So long a run may take from being asked for to holding its first lease.
_STARTING = timedelta(minutes=2)
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job=INDEX_DOCUMENTS,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sweeps up what the stream lane left lying, and what was posted for the batch lane.",
)
def sweep(context: dg.SensorEvaluationContext, platform: PlatformResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
    waiting, owners = asyncio.run(_look(platform))
    # Of any job: runs of a backfill are not of ours, and work on the same buckets.
    unfinished = context.instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    busy = partitions_at_work(unfinished, owners, now=datetime.now(UTC))
    wanted = [partition_of(bucket) for bucket in sorted(waiting, key=waiting.__getitem__, reverse=True)]
    startable = [partition for partition in wanted if partition not in busy][: max(0, _RUNS_AT_ONCE - len(busy))]
    if not startable:
        yield dg.SkipReason(f"{sum(waiting.values())} jobs waiting, {len(busy)} runs in progress.")
    for partition in startable:
        yield dg.RunRequest(
            partition_key=partition, run_config=dg.RunConfig(ops={"documents": DocumentsConfig(scope="pending")})
        )


async def _look(platform: PlatformResource) -> tuple[dict[int, int], set[str]]:
    async with platform.letterbox() as letterbox:
        return await letterbox.buckets_waiting(Lane.BATCH), await letterbox.owners_at_work()


def partitions_at_work(unfinished: Sequence[dg.RunRecord], owners: set[str], *, now: datetime) -> set[str]:
    """Return the partitions that have a living run among `unfinished`; `owners` are those who hold job leases.

    A run that was killed may be listed as started for ever; its leases tell the truth.
    """
    living = [record.dagster_run for record in unfinished if _lives(record, owners, now)]
    return {run.tags[_PARTITION_TAG] for run in living if _PARTITION_TAG in run.tags}


def _lives(record: dg.RunRecord, owners: set[str], now: datetime) -> bool:
    run = record.dagster_run
    began = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.create_timestamp
    return run.status is dg.DagsterRunStatus.QUEUED or owner_of(run.run_id) in owners or now - began < _STARTING
