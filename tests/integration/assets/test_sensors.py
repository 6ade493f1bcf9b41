"""The sweep starts runs for what waits; the reporter shows what the stream lane did."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import dagster as dg

from assets.definitions import definitions_with
from assets.rag.assets import owner_of
from assets.rag.sensors import partitions_at_work, sweep
from assets.reporter import stream_reporter
from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.sql.models import Lane
from tests.integration.assets.batch import Batch

TEXTS = ["A first text, about nothing.\n\nIts end.", "A second text, about as much."]


def requested(batch: Batch) -> list[tuple[str | None, str]]:
    """Return partition and scope of each run that one tick of the sweep asks for."""
    definitions = definitions_with(batch.platform)
    with dg.build_sensor_context(
        instance=batch.instance, resources={"platform": batch.platform}, definitions=definitions
    ) as context:
        data = sweep.evaluate_tick(context)
    return [
        (request.partition_key, request.run_config["ops"]["documents"]["config"]["scope"])
        for request in data.run_requests or []
    ]


def report(batch: Batch) -> None:
    """Let one tick of the reporter pass."""
    with dg.build_sensor_context(instance=batch.instance, resources={"platform": batch.platform}) as context:
        assert isinstance(stream_reporter(context), dg.SkipReason)


def start_run(batch: Batch, partition: str) -> str:
    job = definitions_with(batch.platform).resolve_job_def("index_documents")
    run = batch.instance.create_run_for_job(
        job, tags={"dagster/partition": partition}, status=dg.DagsterRunStatus.STARTED
    )
    return run.run_id


def test_overdue_stream_jobs_are_swept_and_fresh_ones_left_alone(batch: Batch) -> None:
    """Only what the stream lane has left lying for too long makes a run, with scope `pending`."""
    batch.post(batch.tenant(bucket=4), TEXTS)
    assert requested(batch) == []
    batch.let_wait()
    assert requested(batch) == [("bucket_04", "pending")]


def test_jobs_of_the_batch_lane_are_swept_at_once(batch: Batch) -> None:
    """What was posted for the batch lane does not have to wait to be overdue."""
    batch.post(batch.tenant(bucket=9), TEXTS, lane=Lane.BATCH)
    assert requested(batch) == [("bucket_09", "pending")]


def test_bucket_with_a_run_gets_no_second_one(batch: Batch) -> None:
    """While a bucket's run is in progress the sweep asks for none, and for the next only when it has ended."""
    batch.post(batch.tenant(bucket=4), TEXTS, lane=Lane.BATCH)
    run_id = start_run(batch, "bucket_04")
    assert requested(batch) == []
    batch.instance.report_run_failed(batch.instance.get_run_by_id(run_id))  # type: ignore[arg-type]
    assert requested(batch) == [("bucket_04", "pending")]


def test_two_runs_at_once_are_enough(batch: Batch) -> None:
    """However many buckets wait, no more than two runs are asked for: the fullest buckets first."""
    for bucket, count in ((1, 1), (2, 3), (6, 2)):
        batch.post(batch.tenant(bucket=bucket), [f"text {number}" for number in range(count)], lane=Lane.BATCH)
    assert [partition for partition, _scope in requested(batch)] == ["bucket_02", "bucket_06"]


def test_killed_run_does_not_keep_its_bucket(batch: Batch) -> None:
    """A run that is listed as started but holds no lease, and had time to take one, is dead: its bucket is free."""
    run_id = start_run(batch, "bucket_04")
    unfinished = batch.instance.get_run_records()
    now = datetime.now(UTC)
    assert partitions_at_work(unfinished, set(), now=now) == {"bucket_04"}
    later = now + timedelta(minutes=3)
    assert partitions_at_work(unfinished, set(), now=later) == set()
    assert partitions_at_work(unfinished, {owner_of(run_id)}, now=later) == {"bucket_04"}


def test_run_in_the_queue_keeps_its_bucket() -> None:
    """A run that waits for its turn is not dead, however long it waits."""
    # Dagster makes queued runs only for a code server, so this one is made of the fields that are looked at.
    run = SimpleNamespace(run_id="r", status=dg.DagsterRunStatus.QUEUED, tags={"dagster/partition": "bucket_04"})
    now = datetime.now(UTC)
    record = SimpleNamespace(dagster_run=run, start_time=None, create_timestamp=now - timedelta(hours=1))
    assert partitions_at_work([cast(dg.RunRecord, record)], set(), now=now) == {"bucket_04"}


def finish_on_the_stream_lane(batch: Batch) -> None:
    """Do what waits in the stream lane, with the stream lane's own recipe, closed in its name."""

    async def work() -> None:
        async with batch.platform.ingestion() as ingestion:
            writer = replace(ingestion.writer, lane=Lane.STREAM)
            jobs = await ingestion.letterbox.claim("stream", Lane.STREAM, limit=100)
            async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
                await work_off(ingestion.tools, writer, jobs, kept)

    asyncio.run(work())


def test_stream_work_is_reported_once(stored_batch: Batch) -> None:
    """Each asset of the bucket gets one run-less materialisation with the counts; a second tick adds nothing."""
    batch = stored_batch
    batch.post(batch.tenant(bucket=4), TEXTS)
    batch.post(batch.tenant(bucket=4), ["A third text of another tenant."])
    finish_on_the_stream_lane(batch)
    for _ in range(2):
        report(batch)
    for asset in ("documents", "elements", "chunks", "embeddings", "search_index"):
        records = batch.instance.fetch_materializations(dg.AssetKey(asset), limit=10).records
        assert len(records) == 1
        event = records[0].asset_materialization
        assert event is not None
        assert event.partition == "bucket_04"
        assert event.metadata["documents_indexed"].value == 3
        assert event.metadata["elements"].value == 4
        assert event.metadata["chunks"].value >= 3
        assert event.metadata["lane"].value == "stream"


def test_work_of_the_batch_lane_is_not_reported_again(batch: Batch) -> None:
    """A run records its own materialisations; the reporter leaves its jobs alone."""
    batch.post(batch.tenant(bucket=4), TEXTS, lane=Lane.BATCH)
    batch.materialize(4)
    report(batch)
    assert len(batch.instance.fetch_materializations(dg.AssetKey("chunks"), limit=10).records) == 1
