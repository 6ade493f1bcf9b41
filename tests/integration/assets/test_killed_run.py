"""A Dagster run is killed in the middle: another lane finishes its jobs."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from assets.resources import PlatformResource
from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.letterbox import Job
from stores.sql.models import DocumentStatus, JobStatus, Lane
from tests.integration.assets.batch import Batch, QuickPlatform

TEXTS = [f"Text number {number} is about nothing else." for number in range(6)]

# A process that takes a bucket's jobs, says so once it has begun to parse, and never finishes.
RUN_AND_HANG = """
import time
import dagster as dg
from assets.rag.assets import documents, elements
from assets.resources import StageTablesResource
from tests.fakes.plain_text_parser import PlainTextParser
from tests.integration.assets.batch import QuickPlatform

async def hang(self, files):
    print("parsing", flush=True)
    time.sleep(3600)

PlainTextParser.parse = hang
platform = QuickPlatform()
resources = {"platform": platform, "stage_tables": StageTablesResource(platform=platform)}
dg.materialize([documents, elements], partition_key="bucket_03", resources=resources)
"""


async def claimed_by_the_stream_lane(platform: PlatformResource) -> list[Job]:
    async with platform.letterbox() as letterbox:
        return await letterbox.claim("stream", Lane.STREAM, limit=1)


async def finish_on_the_stream_lane(platform: PlatformResource) -> None:
    """Claim and finish what is to be had, as a stream worker does, until nothing is open any more."""
    async with platform.ingestion() as ingestion, asyncio.timeout(60):
        writer = replace(ingestion.writer, lane=Lane.STREAM)
        while await ingestion.letterbox.open_jobs():
            jobs = await ingestion.letterbox.claim("stream", Lane.STREAM, limit=100)
            async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
                await work_off(ingestion.tools, writer, jobs, kept)
            await asyncio.sleep(0.05)


def test_killed_run_loses_no_document(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leases, kept alive while it lived, end after kill -9; the stream lane finishes every one of its jobs."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", "2")
    monkeypatch.setenv("CODEXOS_SWEEP_AFTER_SECONDS", "0.5")
    platform = QuickPlatform()
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    run = subprocess.Popen(
        [sys.executable, "-c", RUN_AND_HANG], env=os.environ | {"PYTHONPATH": "."}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "parsing\n"
        # Two leases long the run stands still inside a step, and still nobody can take its jobs.
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(timeout=4)
        assert asyncio.run(claimed_by_the_stream_lane(platform)) == []
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    asyncio.run(finish_on_the_stream_lane(platform))
    assert batch.stored_chunks(tenant_id) == dict.fromkeys(posted, 1)
    assert {row.status for row in batch.documents().values()} == {DocumentStatus.INDEXED}
    assert {(job.status, job.finished_by) for job in batch.jobs()} == {(JobStatus.SUCCEEDED, Lane.STREAM)}
