"""kill -9 of workers, again and again: nothing is lost, nothing finished is run again, every effect happens once."""

import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from core.clock import FrozenClock
from server.agents.executions.service import NewExecution
from server.agents.executor.memory import MemoryJournal
from stores.sql.engine import Database
from stores.sql.models import ExecutionEventRow, ExecutionRow, ExecutionStepRow, OutboxRow
from tests.factories.flows import flow, run_flow
from tests.factories.random_flows import drawn, expected, harmless, types
from tests.integration.agents.flows import flow_of
from tests.integration.agents.killed_worker import SCHEMA
from tests.integration.agents.workers import TENANT, a_tenant, caller, service

_WORKERS = 2
_LEASE_SECONDS = 2.0
_FLOWS = 25


class Workers:
    """Processes that are killed and begun anew."""

    def __init__(self, home: Path, database_url: str, world: Path) -> None:
        arguments = [str(home), database_url, str(world), str(_LEASE_SECONDS)]
        self._command = [sys.executable, "-m", "tests.integration.agents.killed_worker", *arguments]
        self._log = home / "workers.log"
        self._running: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        with self._log.open("ab") as log:
            self._running.append(subprocess.Popen(self._command, stdout=log, stderr=log))

    def kill(self, which: int) -> None:
        process = self._running.pop(which)
        assert process.poll() is None, self._log.read_text("utf-8")[-3000:]
        process.send_signal(signal.SIGKILL)
        process.wait(30)

    def pid(self, which: int) -> int:
        return self._running[which].pid

    def signal(self, which: int, number: signal.Signals) -> None:
        self._running[which].send_signal(number)

    def end(self) -> None:
        while self._running:
            process = self._running.pop()
            process.kill()
            process.wait(30)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await a_tenant(database)
    yield database
    await database.dispose()


async def _are_over(database: Database) -> int:
    over = ExecutionRow.finished_at.is_not(None)
    rows = await database.rows(select(func.count(ExecutionRow.id)).where(over))
    return int(rows[0][0])


@pytest.mark.parametrize(
    ("executions", "kills"),
    [pytest.param(200, 20, id="quick"), pytest.param(2_000, 200, id="whole", marks=pytest.mark.slow)],
)
async def test_killed_workers_lose_nothing_and_do_nothing_twice(
    database: Database, database_url: str, tmp_path: Path, executions: int, kills: int
) -> None:
    """Random flows come to what an uncrashed run of each comes to; a call that is made again shows the same key."""
    if executions == 200 and not database.is_sqlite:
        executions, kills = 60, 6  # the quick run on the second database
    dice = random.Random(7)
    world = tmp_path / "world.sqlite3"
    connection = sqlite3.connect(world, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(SCHEMA)
    asked = service(database, tmp_path)
    definitions = [drawn(dice) for _ in range(_FLOWS)]
    flows = [await flow_of(database, TENANT, definition) for definition in definitions]
    workers = Workers(tmp_path, database_url, world)
    came: dict[str, tuple[int, int]] = {}
    try:
        for _ in range(_WORKERS):
            workers.begin()
        for number in range(executions):
            which = number % _FLOWS
            new = NewExecution(flow_id=flows[which], input=number)
            came[(await asked.start(caller(), new)).execution_id] = (which, number)
            if number % (executions // kills) == 0 and number:
                await asyncio.sleep(dice.random() * 0.5)
                workers.kill(dice.randrange(_WORKERS))
                workers.begin()
        workers.kill(0)  # one at least with work in hand and nothing new to come
        workers.begin()
        async with asyncio.timeout(600 if executions > 200 else 300):
            while (done := await _are_over(database)) < executions:
                await asyncio.sleep(0.2)
    finally:
        workers.end()
    assert done == executions
    await _judge(database, connection, definitions, came)
    made, keys = connection.execute("SELECT count(*), count(DISTINCT key) FROM calls").fetchone()
    print(f"{executions} executions, {kills} kills, {keys} effects, {made - keys} calls made again under the same key")


@pytest.mark.slow
async def test_worker_that_stood_still_for_longer_than_its_lease_does_nothing_more(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Stopped in the middle, its execution finished by another, and let go on: it finds that it has lost."""
    world = tmp_path / "world.sqlite3"
    connection = sqlite3.connect(world, timeout=30)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(SCHEMA)
    asked = service(database, tmp_path)
    body = flow({"x": ("effect", {"number": "{{ item | int }}"})})
    turning = flow({"start": ("input", {}), "l": ("loop", {"initial": 3, "body": body, "max_iterations": 400})})
    turning["edges"] = [{"source": "start", "target": "l"}]
    flow_id = await flow_of(database, TENANT, turning)
    workers = Workers(tmp_path, database_url, world)

    async def called(least: int) -> None:
        async with asyncio.timeout(120):
            while connection.execute("SELECT count(*) FROM calls").fetchone()[0] < least:
                await asyncio.sleep(0.01)

    try:
        workers.begin()
        view = await asked.start(caller(), NewExecution(flow_id=flow_id, input=0))
        await called(20)
        workers.begin()
        await _stopped_between_commits(workers, database, view.execution_id)
        view = await asked.wait(caller(), view.execution_id, 120)
        assert view.status == "completed"
        for which in range(_WORKERS):
            workers.signal(which, signal.SIGCONT)
        again = await asked.start(caller(), NewExecution(flow_id=flow_id, input=0))  # both are at work again
        await asked.wait(caller(), again.execution_id, 120)
    finally:
        workers.end()
    came = {view.execution_id: (0, 0), again.execution_id: (0, 0)}
    await _judge(database, connection, [turning], came, late_calls=1)
    # The call that was on its way when it was stopped is all that was made twice, and under one key.
    assert connection.execute("SELECT count(*) FROM calls").fetchone()[0] <= 2 * 400 + 1


async def _stopped_between_commits(workers: Workers, database: Database, execution_id: str) -> None:
    """Stop the first worker so that the second takes over.

    Stopped in the middle of a commit it would hold the lock of the row, on SQLite that of the file, for as long as it
    stands still: nobody else could write, and nothing would be tried.
    """
    async with asyncio.timeout(240):
        while True:
            owner = await _owner(database, execution_id)
            workers.signal(0 if owner == str(workers.pid(0)) else 1, signal.SIGSTOP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(4 * _LEASE_SECONDS):
                    while (now := await _owner(database, execution_id)) == owner and now is not None:
                        await asyncio.sleep(0.05)
                    return
            for which in range(_WORKERS):
                workers.signal(which, signal.SIGCONT)
            await asyncio.sleep(0.05)


async def _owner(database: Database, execution_id: str) -> str | None:
    rows = await database.rows(select(ExecutionRow.owner).where(ExecutionRow.id == execution_id))
    return rows[0][0]


async def _judge(
    database: Database,
    world: sqlite3.Connection,
    definitions: list[dict[str, Any]],
    came: dict[str, tuple[int, int]],
    *,
    late_calls: int = 0,
) -> None:
    """`late_calls`: how many may have been on their way while their process stood still."""
    async with database.reading() as session:
        rows = (await session.scalars(select(ExecutionRow))).all()
        steps = (await session.scalars(select(ExecutionStepRow))).all()
        events = (await session.execute(select(ExecutionEventRow.execution_id, ExecutionEventRow.seq))).all()
        told = (await session.scalars(select(OutboxRow.subject).where(OutboxRow.type.like("%.completed")))).all()
    wanted_calls: dict[str, set[int]] = {}
    for row in rows:
        which, given = came[row.id]
        assert row.state == "completed", (row.state, row.error)
        assert json.loads(row.result or "") == await expected(definitions[which], given)
    # Each path came to its end once, and nothing is left open.
    completed = [(step.execution_id, step.path) for step in steps if step.state == "completed"]
    assert len(completed) == len(set(completed))
    assert {step.state for step in steps} <= {"completed", "skipped"}
    # Events without gaps, the end of each told once.
    numbers: dict[str, list[int]] = {}
    for execution_id, seq in events:
        numbers.setdefault(execution_id, []).append(seq)
    assert all(sorted(each) == list(range(1, len(each) + 1)) for each in numbers.values())
    assert sorted(told) == sorted(came)
    # The world: a key stands for one place and one number, and no place was called after its step was finished.
    late = 0
    finished = {f"{step.execution_id}:{step.path}": step.finished_at for step in steps if step.state == "completed"}
    for place, key, number, at in world.execute(
        "SELECT place, key, number, (at - 2440587.5) * 86400.0 FROM calls ORDER BY at"
    ):
        wanted_calls.setdefault(key, set()).add(number)
        ended = finished[place]
        assert ended is not None
        late += at > ended.timestamp() + 0.002
    assert late <= late_calls, "something was run again after it was finished"
    assert all(len(each) == 1 for each in wanted_calls.values())
    assert len(wanted_calls) == await _expected_calls(definitions, came)


async def _expected_calls(definitions: list[dict[str, Any]], came: dict[str, tuple[int, int]]) -> int:
    """Return how many calls uncrashed runs of all executions make."""
    total = 0
    for which, given in came.values():
        journal = MemoryJournal(FrozenClock().now)
        await run_flow(definitions[which], given, journal=journal, registry=types(harmless))
        total += len(journal.calls)
    return total
