"""Ingest throughput (parse + chunk + embed + index) as a share of the embedder alone on the very same chunks.

    python -m benchmarks.throughput [--documents 300] [--data DIR/scifact]

Texts come from a BEIR corpus (`corpus.jsonl`) with --data, and are made up otherwise. The embedder alone is timed
twice, in one process, because the machine's speed drifts; CPU time is printed for that reason too. Where peers are
installed (`make bench-peers-install`) they index the same chunks in between two runs of ours.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.comparison import is_installed, run_peers, table
from benchmarks.machine import heading
from benchmarks.peers.sample import sampled
from benchmarks.system import Installation, installation, system
from core.clock import SystemClock
from core.ids import TenantId
from core.settings import Settings
from pipelines.assembly import Ingestion, open_ingestion
from pipelines.embedding.graph_file import ensure_graph
from pipelines.embedding.local import LocalEmbedder
from pipelines.embedding.weights import find_model
from pipelines.streams.ingest_lane import IngestLane
from stores.letterbox import Letterbox
from stores.redis import Bell, connect
from stores.sql.models import Lane

AIM_SHARE = 0.85
_POSTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One ingestion: what was indexed, its wall and CPU seconds, and the embedder's alone on the same chunks."""

    chunks: list[str]
    wall: float
    cpu: float
    alone: tuple[float, float]

    @property
    def chunks_per_second(self) -> float:
        return len(self.chunks) / self.wall

    @property
    def share(self) -> float:
        return sum(self.alone) / 2 / self.wall


def texts(documents: int, data: Path | None) -> list[str]:
    """Return that many texts of an abstract's length."""
    if data is not None:
        with (data / "corpus.jsonl").open(encoding="utf-8") as corpus:
            rows = [json.loads(line) for line in corpus]
        return [f"{row['title']}\n\n{row['text']}" for row in rows if row["text"].strip()][:documents]
    dice = random.Random(1)
    words = ["".join(dice.choices("abcdefghijklmnop", k=dice.randint(2, 9))) for _ in range(5_000)]
    return [" ".join(dice.choices(words, k=160)) + "." for _ in range(documents)]


async def post(client: httpx.AsyncClient, bodies: Sequence[str]) -> None:
    gate = asyncio.Semaphore(_POSTS_AT_ONCE)

    async def one(text: str) -> None:
        async with gate:
            (await client.post("/rag/ingest", json={"source_type": "text", "source": text})).raise_for_status()

    await asyncio.gather(*map(one, bodies))


async def stored_texts(ingestion: Ingestion, tenant_id: TenantId) -> list[str]:
    """Return the texts of every chunk that was indexed."""
    table = await ingestion.lance.open_table(tenant_id, ingestion.embedder.space, ingestion.embedder.dimensions)
    found: list[str] = []
    for stored in await table.stored_documents():
        rows = await table.document_chunks(stored.document_id, skip=0, limit=stored.chunks)
        found += rows["text"].to_pylist()
    return found


async def drain(ingestion: Ingestion, letterbox: Letterbox, bell: Bell) -> tuple[float, float]:
    """Run the stream lane until the letterbox is empty; return wall and CPU seconds of this process."""
    lane = IngestLane(
        tools=ingestion.tools,
        writer=ingestion.writer,
        letterbox=letterbox,
        bell=bell,
        lease=ingestion.job_lease,
        owner="bench",
    )
    stop = asyncio.Event()
    began, cpu = time.perf_counter(), time.process_time()
    running = asyncio.create_task(lane.run(stop))
    while await ingestion.letterbox.open_jobs():
        await asyncio.sleep(0.02)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    stop.set()
    await running
    return seconds, cpu_seconds


def alone(ingestion: Ingestion, chunks: Sequence[str]) -> float:
    """Return the seconds the embedder alone needs for these chunks."""
    began = time.perf_counter()
    ingestion.embedder.embed(chunks)
    return time.perf_counter() - began


async def measure(installed: Installation, bodies: Sequence[str]) -> Measured:
    async with system(installed, parts=["api"]) as running:
        await post(running.client, bodies)
    settings = Settings.model_validate({"home": installed.home})
    bell = Bell(connect(installed.environment["CODEXOS_REDIS_URL"]), "bench")
    async with open_ingestion(settings, Lane.STREAM, SystemClock()) as ingestion:
        await ingestion.tools.parser.warm()
        before_texts = [text[:1_000] for text in bodies]
        await asyncio.to_thread(alone, ingestion, before_texts[:32])  # warms the session up
        wall, cpu = await drain(ingestion, ingestion.letterbox, bell)
        chunks = await stored_texts(ingestion, TenantId(installed.tenant_id))
        first = await asyncio.to_thread(alone, ingestion, chunks)
        second = await asyncio.to_thread(alone, ingestion, chunks)
    return Measured(chunks=chunks, wall=wall, cpu=cpu, alone=(first, second))


async def ingested(bodies: Sequence[str]) -> Measured:
    """Ingest these texts into a new installation and print what it took."""
    async with installation() as installed:
        measured = await measure(installed, bodies)
    chunks = len(measured.chunks)
    first, second = measured.alone
    print(f"documents {len(bodies)}   chunks {chunks}")
    print(f"embedder alone     {chunks / first:7.1f} and {chunks / second:.1f} chunks/s")
    print(
        f"whole ingestion    {measured.chunks_per_second:7.1f} chunks/s   "
        f"({measured.wall:.1f} s wall, {measured.cpu:.1f} s CPU in the worker)"
    )
    print(f"share              {measured.share:7.2f}   aim: at least {AIM_SHARE}\n", flush=True)
    return measured


async def compared(bodies: Sequence[str], before: Measured) -> str:
    """Have the peers index the chunks of `before`, then ingest anew; without peers there is nothing to repeat."""
    with tempfile.TemporaryDirectory(prefix="codexos-bench-") as folder:
        files = find_model()
        sample = [before.chunks[position] for position in sampled(len(before.chunks))]
        ours = LocalEmbedder(Path(folder), threads=2, files=files).embed(sample)
        graph = ensure_graph(Path(folder), files)
        outcomes = await asyncio.to_thread(run_peers, before.chunks, ours, graph=graph, tokenizer=files.tokenizer)
    after = await ingested(bodies) if is_installed() else before
    return table(before.chunks_per_second, after.chunks_per_second, outcomes)


async def run(documents: int, data: Path | None) -> int:
    bodies = texts(documents, data)
    measured = await ingested(bodies)
    print(await compared(bodies, measured))
    return 0 if measured.share >= AIM_SHARE else 1


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--documents", type=int, default=300)
    arguments.add_argument("--data", type=Path)
    given = arguments.parse_args()
    print(heading("Ingest throughput against the embedder alone"))
    return asyncio.run(run(given.documents, given.data))


if __name__ == "__main__":
    raise SystemExit(main())
