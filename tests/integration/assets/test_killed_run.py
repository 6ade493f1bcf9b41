"""A Dagster run is killed in the middle: another lane finishes its jobs."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.sql.models import DocumentStatus, JobStatus, Lane
from tests.integration.assets.batch import Batch

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


async def finish_on_the_stream_lane(batch: Batch) -> int:
    """Claim, as a stream worker would, until something is to be had, and finish it; return how many jobs it was."""
    async with batch.platform.ingestion() as ingestion:
        async with asyncio.timeout(30):
            while not (jobs := await ingestion.letterbox.claim("stream", Lane.STREAM, limit=100)):
                await asyncio.sleep(0.05)
        async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
            await work_off(ingestion.tools, replace(ingestion.writer, lane=Lane.STREAM), jobs, kept)
    return len(jobs)


def test_killed_run_loses_no_document(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its leases, kept alive while it lived, end after kill -9; the stream lane finishes every one of its jobs."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", "2")
    monkeypatch.setenv("CODEXOS_SWEEP_AFTER_SECONDS", "0.5")
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
        assert batch.letterbox(lambda letterbox: letterbox.claim("stream", Lane.STREAM, limit=1)) == []
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert asyncio.run(finish_on_the_stream_lane(type(batch)(batch.instance, type(batch.platform)()))) == len(TEXTS)
    assert batch.stored_chunks(tenant_id) == dict.fromkeys(posted, 1)
    assert {row.status for row in batch.documents().values()} == {DocumentStatus.INDEXED}
    assert {(job.status, job.finished_by) for job in batch.jobs()} == {(JobStatus.SUCCEEDED, Lane.STREAM)}
