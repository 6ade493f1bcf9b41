"""A Dagster run is killed in the middle: another run or the other lane finishes its jobs, each once."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from assets.resources import PlatformResource
from core.ids import DocumentId, TenantId, content_id
from pipelines.chunking import chunkers_for
from pipelines.document import ChunkingConfig, ChunkingStrategy, SourceFile
from pipelines.embedding.hashed import HashEmbedder
from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.letterbox import Job
from stores.sql.models import DocumentStatus, JobStatus, Lane
from tests.fakes.doomed_run import POINTS
from tests.fakes.plain_text_parser import PlainTextParser
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


def a_text(dice: random.Random) -> str:
    words = [f"word{number}" for number in range(400)]
    return "\n\n".join(" ".join(dice.choices(words, k=dice.randint(10, 60))) + "." for _ in range(dice.randint(1, 5)))


def expected_chunks(tenant_id: TenantId, texts: dict[DocumentId, str]) -> Counter[str]:
    """Return the ids of every chunk there should be, worked out without Dagster, lanes or stores."""
    chunker = chunkers_for(HashEmbedder())[ChunkingStrategy.FIXED]
    config = ChunkingConfig(strategy=ChunkingStrategy.FIXED, chunk_tokens=40, overlap_tokens=0)
    expected: Counter[str] = Counter()
    for document_id, text in texts.items():
        [parsed] = asyncio.run(PlainTextParser().parse([SourceFile(name="note.txt", content=text.encode())]))
        for passage in chunker.split(parsed.elements, config):
            expected[content_id("chunk", tenant_id, document_id, str(passage.position), passage.text)] += 1
    return expected


def post_some(batch: Batch, tenant_id: TenantId, texts: dict[DocumentId, str], dice: random.Random) -> int:
    """Post four new documents, revise two, now and then erase one; return how many were posted."""
    revised = dice.sample(list(texts), min(2, len(texts)))
    for document_id in [None, None, None, None, *revised]:
        text = a_text(dice)
        [written] = batch.post(tenant_id, [text], lane=Lane.BATCH, document_id=document_id)
        texts[written] = text
    if dice.random() < 0.3:
        erased = dice.choice(list(texts))
        batch.run(lambda poster: poster.delete(tenant_id, erased))
        del texts[erased]
    return 4 + len(revised)


def kill_a_run(bucket: int, point: str, time: int) -> None:
    command = [sys.executable, "-m", "tests.fakes.doomed_run", str(bucket), point, str(time)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_runs_lose_and_double_nothing(
    batch: Batch, kills: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """kill -9 at points all along a run, with revisions and deletions between; each document ends as last posted."""
    monkeypatch.setenv("CODEXOS_SWEEP_AFTER_SECONDS", "0.5")
    dice = random.Random(20261123)
    points = dice.sample(list(POINTS), len(POINTS))
    texts: dict[DocumentId, str] = {}
    batch = Batch(batch.instance, QuickPlatform())  # of settings read anew
    tenant_id, posted = batch.tenant(bucket=3), 0
    for kill in range(kills):
        posted += post_some(batch, tenant_id, texts, dice)
        batch.let_wait()
        point = points[kill % len(points)]
        kill_a_run(3, point, 2 if "commit" in point and kill % 2 else 1)
        batch.let_leases_end()
        batch.let_wait()
        if dice.random() < 0.5:
            asyncio.run(finish_on_the_stream_lane(batch.platform))
        else:  # twice: jobs of one document are taken one at a time
            batch.materialize(3, documents={"scope": "pending"})
            batch.materialize(3, documents={"scope": "pending"})
    living = {row.id: row for row in batch.documents().values() if row.status != DocumentStatus.DELETED}
    assert living.keys() == texts.keys()
    assert {row.status for row in living.values()} == {DocumentStatus.INDEXED}
    assert all(row.indexed_revision == row.revision for row in living.values())
    assert {job.status for job in batch.jobs()} <= {JobStatus.SUCCEEDED, JobStatus.CANCELLED}
    stored, expected = batch.chunk_ids(tenant_id), expected_chunks(tenant_id, texts)
    lost, doubled = expected - stored, stored - expected
    with capsys.disabled():
        print(
            f"\n{kills} runs killed over {posted} posts: {len(living)} documents, {expected.total()} chunks, "
            f"{lost.total()} lost, {doubled.total()} too many"
        )
    assert stored == expected
