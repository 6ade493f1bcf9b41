"""Workers are killed, Redis is wiped: every document ends up indexed, no chunk lost, none doubled."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import func, select

from core.ids import DocumentId, TenantId, content_id
from pipelines.chunking import chunkers_for
from pipelines.document import ChunkingConfig, ChunkingStrategy, SourceFile
from pipelines.embedding import open_embedder
from pipelines.parsing.in_process import InProcessParser
from stores.lance import LanceStore
from stores.redis import connect
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, JobRow, Lane, OutboxRow
from tests.factories.posting import Poster
from tests.fakes.nursery import Nursery

KILLS = 25
STREAM, BATCH = "stream", "batch"
COMMANDS = {STREAM: ("-m", "server", "worker"), BATCH: ("-m", "tests.fakes.batch_lane")}
QUICK_WORKER = "tests.fakes.quick_worker"
# The embedded pair and the real one: crossing them would show nothing more and take twice as long.
BACKENDS = pytest.mark.parametrize(
    ("database_url", "redis_url"), [("sqlite", "embedded"), ("postgresql", "real")], indirect=True
)
WORDS = [f"word{number}" for number in range(400)]


def a_text(dice: random.Random) -> str:
    return "\n\n".join(" ".join(dice.choices(WORDS, k=dice.randint(10, 60))) + "." for _ in range(dice.randint(1, 5)))


@dataclass
class Truth:
    """What the poster promised: the newest text of every living document, by tenant."""

    texts: dict[tuple[TenantId, DocumentId], str] = field(default_factory=dict)

    async def chunks(self) -> Counter[str]:
        """Return the ids of every chunk there should be, worked out without lanes, jail or stores."""
        embedder = open_embedder("hashed", model_folder=Path("unused"), threads=1)
        chunker = chunkers_for(embedder)[ChunkingStrategy.FIXED]
        config = ChunkingConfig(strategy=ChunkingStrategy.FIXED, chunk_tokens=40, overlap_tokens=0)
        expected: Counter[str] = Counter()
        for (tenant_id, document_id), text in self.texts.items():
            [parsed] = await InProcessParser().parse([SourceFile(name="note.txt", content=text.encode())])
            for passage in chunker.split(parsed.elements, config):
                expected[content_id("chunk", tenant_id, document_id, str(passage.position), passage.text)] += 1
        return expected


class Workers(Protocol):
    """Workers as real processes, to be killed at any moment."""

    def fill_up(self) -> None:
        """Begin those that do not run."""

    def kill_one(self, dice: random.Random) -> None:
        """kill -9."""

    def end(self) -> None:
        """Kill them all."""


class StartedWorkers:
    """Implements Workers with processes as an operator starts them, jail and all: seconds each."""

    def __init__(self, environment: dict[str, str], log: Path, lanes: Sequence[str]) -> None:
        self._environment = environment
        self._log = log.open("ab")
        self._lanes = lanes
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def fill_up(self) -> None:
        for place, lane in enumerate(self._lanes):
            if place not in self._running:
                self._running[place] = subprocess.Popen(
                    [sys.executable, *COMMANDS[lane]],
                    env=self._environment,
                    stdout=self._log,
                    stderr=self._log,
                    start_new_session=True,
                )

    def kill_one(self, dice: random.Random) -> None:
        victim = self._running.pop(dice.choice(sorted(self._running)))
        victim.kill()
        victim.wait()

    def end(self) -> None:
        for process in self._running.values():
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._log.close()


class ForkedWorkers:
    """Implements Workers with forks of what has been imported once: milliseconds each, so that work is interrupted."""

    def __init__(self, environment: dict[str, str], log: Path, lanes: Sequence[str]) -> None:
        self._environment = environment
        self._nursery = Nursery(log, [QUICK_WORKER, *(["great_expectations"] if BATCH in lanes else [])])
        self._lanes = lanes
        self._running: dict[int, int] = {}

    def fill_up(self) -> None:
        for place, lane in enumerate(self._lanes):
            if place not in self._running:
                self._running[place] = self._nursery.begin(QUICK_WORKER, lane, environment=self._environment)

    def kill_one(self, dice: random.Random) -> None:
        self._nursery.kill(self._running.pop(dice.choice(sorted(self._running))))

    def end(self) -> None:
        self._nursery.end()


@asynccontextmanager
async def workers(
    home: Path,
    database_url: str,
    redis_url: str,
    kind: Callable[[dict[str, str], Path, Sequence[str]], Workers] = StartedWorkers,
    lanes: Sequence[str] = (STREAM, STREAM),
) -> AsyncIterator[Workers]:
    environment = os.environ | {
        "CODEXOS_HOME": str(home),
        "CODEXOS_DATABASE_URL": database_url,
        "CODEXOS_REDIS_URL": redis_url,
        "CODEXOS_EMBEDDER": "hashed",
        "CODEXOS_JOB_LEASE_SECONDS": "2",
        # A job that so many workers die of is given up: here it is not the job that kills them.
        "CODEXOS_JOB_MAX_ATTEMPTS": "50",
        "CODEXOS_LOG_LEVEL": "WARNING",
    }
    if BATCH in lanes:
        # Either lane takes what the other left lying for a second: both finish what the other began.
        environment |= {"CODEXOS_SWEEP_AFTER_SECONDS": "1", "DAGSTER_DISABLE_TELEMETRY": "1", "PYTHONPATH": "."}
    running = kind(environment, home / "workers.log", lanes)
    try:
        yield running
    finally:
        running.end()


async def until(condition: object, seconds: float, log: Path) -> None:
    """Wait for an async condition; on time-out show what the workers said."""
    try:
        async with asyncio.timeout(seconds):
            while not await condition():  # type: ignore[operator]
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"the condition did not come true; the workers said:\n{log.read_text()[-4000:]}")


async def finished_jobs(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(select(func.count(OutboxRow.id))) or 0


async def post_some(
    poster: Poster,
    truth: Truth,
    tenants: list[TenantId],
    dice: random.Random,
    *,
    documents: int = 4,
    lanes: Sequence[Lane] = (Lane.STREAM,),
) -> None:
    """Post some new documents, revise one and now and then delete one."""
    for _ in range(documents):
        tenant_id, text = dice.choice(tenants), a_text(dice)
        truth.texts[tenant_id, await poster.post(tenant_id, text, lane=dice.choice(lanes))] = text
    tenant_id, document_id = dice.choice(list(truth.texts))
    text = a_text(dice)
    await poster.post(tenant_id, text, document_id=document_id, lane=dice.choice(lanes))
    truth.texts[tenant_id, document_id] = text
    if dice.random() < 0.3:
        tenant_id, document_id = dice.choice(list(truth.texts))
        await poster.delete(tenant_id, document_id)
        del truth.texts[tenant_id, document_id]


async def stored_chunks(home: Path, tenants: list[TenantId]) -> Counter[str]:
    embedder = open_embedder("hashed", model_folder=Path("unused"), threads=1)
    store = LanceStore(home / "lance")
    found: Counter[str] = Counter()
    for tenant_id in tenants:
        table = await store.open_table(tenant_id, embedder.space, embedder.dimensions)
        found.update(await table.chunk_ids())
    return found


async def assert_nothing_lost_nothing_doubled(
    database: Database, home: Path, tenants: list[TenantId], truth: Truth
) -> None:
    async with database.reading() as session:
        rows = list(await session.scalars(select(DocumentRow)))
    living = {row.id: row for row in rows if row.status != DocumentStatus.DELETED}
    assert living.keys() == {document_id for _tenant, document_id in truth.texts}
    assert {row.status for row in living.values()} == {DocumentStatus.INDEXED}
    assert all(row.indexed_revision == row.revision for row in living.values())
    assert await stored_chunks(home, tenants) == await truth.chunks()


@pytest.mark.parametrize(
    ("database_url", "redis_url", "kind"),
    [
        ("sqlite", "embedded", ForkedWorkers),
        ("postgresql", "real", ForkedWorkers),
        pytest.param("sqlite", "embedded", StartedWorkers, marks=pytest.mark.slow),
        pytest.param("postgresql", "real", StartedWorkers, marks=pytest.mark.slow),
    ],
    indirect=["database_url", "redis_url"],
)
async def test_killed_workers_lose_and_double_nothing(
    database_url: str,
    redis_url: str,
    kind: Callable[[dict[str, str], Path, Sequence[str]], Workers],
    tmp_path: Path,
) -> None:
    """25 kill -9 at random moments of two workers' work, with revisions and deletions coming in all the while."""
    dice = random.Random(20261122)
    database, truth = Database(database_url), Truth()
    poster = Poster(database, tmp_path / "blobs")
    tenants = [await poster.tenant() for _ in range(3)]
    async with workers(tmp_path, database_url, redis_url, kind) as running:
        for _ in range(KILLS):
            running.fill_up()
            seen = await finished_jobs(database)
            await post_some(poster, truth, tenants, dice)

            async def moving(seen: int = seen) -> bool:
                return await finished_jobs(database) > seen

            await until(moving, 60, tmp_path / "workers.log")
            await post_some(poster, truth, tenants, dice)
            await asyncio.sleep(dice.random() * 0.2)
            running.kill_one(dice)
        running.fill_up()

        async def all_closed() -> bool:
            return not await poster.open_jobs()

        await until(all_closed, 120, tmp_path / "workers.log")
    await assert_nothing_lost_nothing_doubled(database, tmp_path, tenants, truth)
    await database.dispose()


@BACKENDS
async def test_wiped_redis_loses_nothing(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Redis forgets everything while documents are coming in; all of them are indexed all the same."""
    dice = random.Random(7)
    database, truth = Database(database_url), Truth()
    poster = Poster(database, tmp_path / "blobs")
    tenants = [await poster.tenant()]
    redis = connect(redis_url)
    async with workers(tmp_path, database_url, redis_url) as running:
        running.fill_up()
        for _ in range(10):
            await post_some(poster, truth, tenants, dice)
            await redis.flushdb()

        async def all_closed() -> bool:
            return not await poster.open_jobs()

        await until(all_closed, 60, tmp_path / "workers.log")
    await redis.aclose()
    await assert_nothing_lost_nothing_doubled(database, tmp_path, tenants, truth)
    await database.dispose()


@pytest.mark.parametrize(
    ("database_url", "redis_url", "kind", "kills", "documents"),
    [
        ("sqlite", "embedded", ForkedWorkers, 3, 3),
        pytest.param("sqlite", "embedded", StartedWorkers, KILLS, 10, marks=pytest.mark.slow),
        pytest.param("postgresql", "real", StartedWorkers, KILLS, 10, marks=pytest.mark.slow),
    ],
    indirect=["database_url", "redis_url"],
)
async def test_both_lanes_killed_lose_and_double_nothing(
    database_url: str,
    redis_url: str,
    kind: Callable[[dict[str, str], Path, Sequence[str]], Workers],
    kills: int,
    documents: int,
    tmp_path: Path,
) -> None:
    """Two workers of each lane, killed at random while documents for either come, change and go: each chunk once.

    In full that is 500 documents, 50 revisions and 25 kill -9.
    """
    dice = random.Random(20261123)
    database, truth = Database(database_url), Truth()
    poster = Poster(database, tmp_path / "blobs")
    tenants = [await poster.tenant() for _ in range(3)]
    lanes = (Lane.STREAM, Lane.BATCH)
    async with workers(tmp_path, database_url, redis_url, kind, (STREAM, STREAM, BATCH, BATCH)) as running:
        for _ in range(kills):
            running.fill_up()
            await post_some(poster, truth, tenants, dice, documents=documents, lanes=lanes)
            seen = await finished_jobs(database)

            async def moving(seen: int = seen) -> bool:
                return await finished_jobs(database) > seen

            await until(moving, 90, tmp_path / "workers.log")
            await post_some(poster, truth, tenants, dice, documents=documents, lanes=lanes)
            await asyncio.sleep(dice.random() * 3)  # long enough for the batch lane to be in the middle of something
            running.kill_one(dice)
        running.fill_up()
        # Work for both, with nobody killed any more: however the dice fell, each lane finishes something.
        await post_some(poster, truth, tenants, dice, documents=2 * documents, lanes=(Lane.BATCH,))

        async def all_closed() -> bool:
            return not await poster.open_jobs()

        await until(all_closed, 240, tmp_path / "workers.log")
    async with database.reading() as session:
        finished_by = set(await session.scalars(select(JobRow.finished_by).where(JobRow.finished_by.is_not(None))))
    assert finished_by == set(lanes)
    await assert_nothing_lost_nothing_doubled(database, tmp_path, tenants, truth)
    await database.dispose()
