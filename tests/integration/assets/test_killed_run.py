"""A Dagster run is killed in the middle: another run or the other lane finishes its jobs, each once."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from tests.fakes.nursery import Nursery
from tests.fakes.plain_text_parser import PlainTextParser
from tests.integration.assets.batch import Batch, QuickPlatform

TEXTS = [f"Text number {number} is about nothing else." for number in range(6)]


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


def until(condition: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.05)


def test_killed_run_loses_no_document(
    batch: Batch, nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its leases, kept alive while it lived, end after kill -9; the stream lane finishes every one of its jobs."""
    monkeypatch.setenv("CODEXOS_JOB_LEASE_SECONDS", "2")
    monkeypatch.setenv("CODEXOS_SWEEP_AFTER_SECONDS", "0.5")
    platform = QuickPlatform()
    tenant_id = batch.tenant(bucket=3)
    posted = batch.post(tenant_id, TEXTS, lane=Lane.BATCH)
    told = tmp_path / "told"
    run = nursery.begin("tests.fakes.hanging_run", "3", str(told))
    try:
        until(told.exists, seconds=120)
        # Two leases long the run stands still inside a step, and still nobody can take its jobs.
        time.sleep(4)
        assert asyncio.run(claimed_by_the_stream_lane(platform)) == []
    finally:
        nursery.kill(run)
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


def kill_a_run(nursery: Nursery, bucket: int, point: str, time: int) -> None:
    run = nursery.begin("tests.fakes.doomed_run", str(bucket), point, str(time))
    assert nursery.ended(run) == -signal.SIGKILL, nursery.log.read_text()


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_runs_lose_and_double_nothing(
    batch: Batch, nursery: Nursery, kills: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
        kill_a_run(nursery, 3, point, 2 if "commit" in point and kill % 2 else 1)
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
