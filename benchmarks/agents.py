"""What a node costs: a flow of ten nodes that do nothing, not durable and durable, beside LangGraph in the same run.

    python -m benchmarks.agents [--runs 300]

Not durable is the engine over a journal in memory; durable is a worker over SQLite, each execution accepted, claimed,
journalled step by step and told to the outbox. One after another is how LangGraph's are run, too; then as many at once
as a worker takes. Both sides run by turns, three times. LangGraph needs `make bench-peers-install`.
"""

import argparse
import asyncio
import hashlib
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.comparison import PYTHON, ROOT
from benchmarks.machine import heading
from core.clock import SystemClock
from core.ids import ApiKeyId, TenantId, new_id
from core.tasks import ended
from server.agents.executions.service import ExecutionService, NewExecution
from server.agents.executor.engine import execute
from server.agents.executor.journal import Completed
from server.agents.executor.memory import MemoryJournal
from server.agents.executor.plan import Plan, definition_of, plan_of
from server.agents.executor.run import Run, Surroundings
from server.agents.flow.language import FlowLanguage
from server.agents.nodes.registry import build_registry
from server.agents.worker.flows import Plans
from server.agents.worker.scribe import Scribe
from server.agents.worker.service import Ledger
from server.agents.worker.worker import Worker
from server.agents.worker.working import Workshop
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database
from stores.sql.migrations.run import upgrade
from stores.sql.models import FlowRow, FlowVersionRow, TenantRow

NODES = 10
TURNS = 3
AIM = 0.5
_TENANT = TenantId("00000000-0000-7000-8000-000000000001")
_CALLER = Principal(tenant_id=_TENANT, scopes=frozenset(), key_id=ApiKeyId("bench"))
_AT_ONCE = 64


def definition() -> dict[str, Any]:
    names = [f"n{number}" for number in range(NODES)]
    return {
        "nodes": [{"id": name, "type": "template", "config": {"template": "x"}} for name in names],
        "edges": [{"source": a, "target": b} for a, b in pairwise(names)],
    }


class _LocalBell(Bell):
    """Wakes the one worker of this process: no Redis is measured here, as none is beside LangGraph."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._rung.wait(), seconds)
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class _Nothing:
    async def resolve(self, *_names: Any, **_more: Any) -> Any:
        raise AssertionError("no node of this flow takes a secret")

    async def value(self, key: str, host: str) -> str:
        raise AssertionError("no node of this flow takes a secret")

    async def plan(self, flow_id: str, version: int) -> Plan:
        raise AssertionError("no node of this flow runs another")

    async def current(self, flow_id: str) -> int:
        raise AssertionError("no node of this flow runs another")


class Cost:
    """Milliseconds of wall and CPU a run."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def done(self) -> dict[str, float]:
        return {
            "wall_ms": (time.perf_counter() - self._wall) * 1000 / self._runs,
            "cpu_ms": (time.process_time() - self._cpu) * 1000 / self._runs,
        }


async def not_durable(runs: int) -> dict[str, float]:
    clock = SystemClock()
    registry = build_registry(clock=clock)
    plan = plan_of(definition_of(definition()), registry)
    surroundings = Surroundings(registry=registry, language=FlowLanguage(), now=clock.now)

    async def once() -> None:
        run = Run(
            tenant_id=_TENANT,
            execution_id="e",
            plan=plan,
            input={},
            context={},
            journal=MemoryJournal(clock.now),
            surroundings=surroundings,
            secrets=_Nothing(),
            flows=_Nothing(),
        )
        assert isinstance(await execute(run), Completed)

    for _ in range(10):
        await once()
    cost = Cost(runs)
    for _ in range(runs):
        await once()
    return cost.done()


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[tuple[ExecutionService, str]]:
    """A worker over SQLite, and the flow that it runs."""
    url = f"sqlite+aiosqlite:///{folder / 'bench.sqlite3'}"
    await upgrade(url)
    database, clock, bell = Database(url), SystemClock(), _LocalBell()
    blobs, outbox = BlobStore((folder / "blobs").as_uri()), Outbox(clock)
    registry = build_registry(clock=clock)
    ledger = Ledger(database, clock, outbox, lease=timedelta(seconds=30))
    scribe = Scribe(ledger=ledger, blobs=blobs, committed=lambda _ids: None, cancel=lambda _id: None)
    worker = Worker(
        ledger=ledger,
        workshop=Workshop(
            ledger=ledger,
            blobs=blobs,
            plans=Plans(ledger, registry),
            surroundings=Surroundings(registry=registry, language=FlowLanguage(), now=clock.now),
            safe=_Nothing(),
            clock=clock,
            touch=scribe.touch,
        ),
        bell=bell,
        owner="bench",
        in_flight=_AT_ONCE,
        per_tenant=_AT_ONCE,
    )
    service = ExecutionService(
        database=database,
        blobs=blobs,
        outbox=outbox,
        bell=bell,
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        cursors=Cursors(lambda content: [hashlib.sha256(content).digest()]),
    )
    stop = asyncio.Event()
    tasks = [asyncio.create_task(scribe.run()), asyncio.create_task(worker.run(stop))]
    try:
        yield service, await _a_flow(database, clock)
    finally:
        stop.set()
        await asyncio.wait(tasks[1:], timeout=30)
        await ended(*tasks)
        await database.dispose()


async def _a_flow(database: Database, clock: SystemClock) -> str:
    flow_id, text, now = new_id(), json.dumps(definition()), clock.now()
    async with database.transaction() as session:
        session.add(TenantRow(id=_TENANT, name="bench", created_at=now))
        await session.flush()
        session.add(
            FlowRow(
                id=flow_id, tenant_id=_TENANT, name="ten", search_name="ten", description="", extra={},
                status="published", latest_number=1, published_number=1, version=1, created_by="bench",
                created_at=now, updated_at=now,
            )
        )  # fmt: skip
        await session.flush()
        digest = hashlib.sha256(text.encode()).hexdigest()
        session.add(
            FlowVersionRow(
                flow_id=flow_id, number=1, tenant_id=_TENANT, definition=text, definition_sha256=digest,
                created_by="bench", created_at=now,
            )
        )  # fmt: skip
    return flow_id


async def durable(runs: int, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Return the cost of runs one after another, and of many at once."""
    async with working(folder) as (service, flow_id):

        async def once() -> None:
            started = await service.start(_CALLER, NewExecution(flow_id=flow_id, input={}))
            view = await service.wait(_CALLER, started.execution_id, 60)
            assert view.status == "completed", view

        async def many(count: int) -> None:
            gate = asyncio.Semaphore(_AT_ONCE)

            async def one() -> None:
                async with gate:
                    await once()

            await asyncio.gather(*(one() for _ in range(count)))

        await many(10)
        alone = await _costing(once, runs)
        cost = Cost(4 * runs)
        await many(4 * runs)
        return alone, cost.done()


async def _costing(once: Callable[[], Awaitable[None]], runs: int) -> dict[str, float]:
    cost = Cost(runs)
    for _ in range(runs):
        await once()
    return cost.done()


def langgraph(runs: int, folder: Path) -> dict[str, dict[str, float]] | None:
    """Return LangGraph's figures, None where it is not installed."""
    if not PYTHON.exists():
        return None
    command = [str(PYTHON), "-m", "benchmarks.peers.langgraph_noop", str(runs), str(folder)]
    environment = {"PATH": os.environ["PATH"], "LANGSMITH_TRACING": "false"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        print(f"LangGraph: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
        return None
    figures: dict[str, dict[str, float]] = json.loads(done.stdout)
    return figures


def turn(runs: int) -> dict[str, dict[str, float] | None]:
    with tempfile.TemporaryDirectory(prefix="codexos-bench-") as name:
        folder = Path(name)
        (folder / "theirs").mkdir()
        theirs = langgraph(runs, folder / "theirs") or {}
        alone, many = asyncio.run(durable(runs, folder))
        return {
            "not durable, ours": asyncio.run(not_durable(runs)),
            "not durable, LangGraph": theirs.get("plain"),
            "durable, ours": alone,
            "durable, LangGraph with its SQLite checkpointer": theirs.get("durable"),
            f"durable, ours, {_AT_ONCE} at once": many,
        }


def main() -> None:
    arguments = argparse.ArgumentParser(description="What a node of a flow costs.")
    arguments.add_argument("--runs", type=int, default=300)
    runs = arguments.parse_args().runs
    print(heading(f"Flows of {NODES} nodes that do nothing, {runs} runs, median of {TURNS} turns"))
    turns = [turn(runs) for _ in range(TURNS)]
    medians: dict[str, dict[str, float]] = {}
    print(f"{'milliseconds a node':52} {'wall':>8} {'CPU':>8}")
    for name in turns[0]:
        figures = [found for each in turns if (found := each[name]) is not None]
        if not figures:
            print(f"{name:52} not installed")
            continue
        medians[name] = {key: statistics.median(each[key] for each in figures) for key in ("wall_ms", "cpu_ms")}
        print(f"{name:52} {medians[name]['wall_ms'] / NODES:8.3f} {medians[name]['cpu_ms'] / NODES:8.3f}")
    at_once = medians[f"durable, ours, {_AT_ONCE} at once"]
    print(f"executions a second on one worker, {_AT_ONCE} at once: {1000 / at_once['wall_ms']:.0f}")
    for ours, theirs in (
        ("not durable, ours", "not durable, LangGraph"),
        ("durable, ours", "durable, LangGraph with its SQLite checkpointer"),
    ):
        if theirs in medians:
            share = medians[ours]["cpu_ms"] / medians[theirs]["cpu_ms"]
            print(f"CPU of {ours} / {theirs.split(', ')[1]}: {share:.2f}   aim: at most {AIM}")


if __name__ == "__main__":
    main()
