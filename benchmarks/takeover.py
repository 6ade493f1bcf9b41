"""How soon executions go on when their worker is killed, and how soon those that are cancelled stop.

    python -m benchmarks.takeover [--kills 10] [--executions 16]

Two processes of agents run executions of many short HTTP calls. One process is ended by SIGKILL while it holds some of
them, and started again; each of those has gone on with the first event that it tells afterwards. Then all are
cancelled: each has stopped when it is over. An event's time is that of the machine, as is that of the kill.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select

from benchmarks.machine import heading, quantile
from benchmarks.system import Installation, System, installation, system
from core.clock import SystemClock
from stores.sql.engine import Database
from stores.sql.models import ExecutionEventRow, ExecutionRow

AIM_P50_SECONDS, AIM_P99_SECONDS, AIM_STOPPED_SECONDS = 5.0, 15.0, 2.0
_NODES = 200
_CALL_SECONDS = 0.1
_LIMIT_SECONDS = 60.0


@asynccontextmanager
async def slow_site() -> AsyncIterator[int]:
    """Serve on a free port: each answer takes its time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(_CALL_SECONDS)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


class Agents:
    """A process of agents."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self.begin()

    def begin(self) -> None:
        with (self._installed.home / "agents.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server", "agents"],
                env=os.environ | self._installed.environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def definition(port: int) -> dict[str, Any]:
    """Return a flow that calls the site so many times, one call after another."""
    names = [f"call{number}" for number in range(_NODES)]
    config = {"url": f"http://127.0.0.1:{port}/", "method": "GET"}
    return {
        "name": "takeover",
        "nodes": [{"id": name, "type": "http", "config": config} for name in names],
        "edges": [{"source": a, "target": b} for a, b in pairwise(names)],
    }


async def until(true: Callable[[], Any], what: str) -> Any:
    """Ask again until the answer is true, and return it."""
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            while not (found := await true()):
                await asyncio.sleep(0.02)
            return found
    except TimeoutError:
        raise RuntimeError(f"not within {_LIMIT_SECONDS:.0f} s: {what}") from None


async def begun(running: System, database: Database, flow_id: str, count: int) -> list[str]:
    """Start executions, and return their ids once each has called the site."""
    ids = []
    for _ in range(count):
        answer = await running.client.post("/agents/execute", json={"flow_id": flow_id, "mode": "background"})
        ids.append(answer.raise_for_status().json()["execution_id"])
    run = select(func.count()).where(ExecutionRow.id.in_(ids), ExecutionRow.last_seq > 3)

    async def all_run() -> bool:
        return (await database.rows(run))[0][0] == count

    await until(all_run, "all executions run")
    return ids


async def both_work(running: System, database: Database, workers: Sequence[Agents], flow_id: str) -> None:
    """Return once each process has had an execution: one that has just been started loads its libraries first."""
    awaited = {worker.process.pid for worker in workers}

    async def none_is_awaited() -> bool:
        ids = await begun(running, database, flow_id, 4)
        owners = await database.rows(select(ExecutionRow.owner).where(ExecutionRow.id.in_(ids)))
        awaited.difference_update(int(row.owner.rpartition(":")[2]) for row in owners if row.owner)
        await stopped(running, database, ids)
        return not awaited

    await until(none_is_awaited, "both processes work")


async def taken_over(database: Database, worker: Agents, ids: Sequence[str]) -> list[float]:
    """Kill a worker; return after how many seconds each execution that it held went on."""
    owned = select(ExecutionRow.id).where(
        ExecutionRow.id.in_(ids), ExecutionRow.owner.endswith(f":{worker.process.pid}")
    )
    held = [row.id for row in await database.rows(owned)]
    worker.kill()
    killed = SystemClock().now()
    worker.begin()
    event = ExecutionEventRow
    later = select(event.execution_id, func.min(event.at).label("at")).where(
        event.execution_id.in_(held), event.at > killed
    )

    async def told() -> Sequence[Any]:
        rows = await database.rows(later.group_by(event.execution_id))
        return rows if len(rows) == len(held) else []

    rows = await until(told, "what the killed worker held goes on") if held else []
    return [(row.at - killed).total_seconds() for row in rows]


async def stopped(running: System, database: Database, ids: Sequence[str]) -> tuple[list[float], int]:
    """Cancel each; return after how many seconds it was over, and how many nodes started after that."""
    asked: dict[str, datetime] = {}
    for execution_id in ids:
        asked[execution_id] = SystemClock().now()
        (await running.client.post(f"/agents/executions/{execution_id}/cancel")).raise_for_status()
    over = select(ExecutionRow.id, ExecutionRow.finished_at).where(
        ExecutionRow.id.in_(ids), ExecutionRow.state == "cancelled"
    )

    async def all_over() -> Sequence[Any]:
        rows = await database.rows(over)
        return rows if len(rows) == len(ids) else []

    rows = await until(all_over, "all that were cancelled are over")
    await asyncio.sleep(3 * _CALL_SECONDS)
    event = ExecutionEventRow
    started = (
        select(func.count())
        .select_from(event)
        .join(ExecutionRow, ExecutionRow.id == event.execution_id)
        .where(event.execution_id.in_(ids), event.type == "node.started", event.at > ExecutionRow.finished_at)
    )
    after = (await database.rows(started))[0][0]
    return [(row.finished_at - asked[row.id]).total_seconds() for row in rows], after


async def run(kills: int, executions: int) -> int:
    late: list[float] = []
    stops: list[float] = []
    after = 0
    async with slow_site() as port:
        environment = {"CODEXOS_EMBEDDER": "hashed", "CODEXOS_HTTP_WORKERS": "1"}
        environment |= {"CODEXOS_EGRESS_ALLOW": f"127.0.0.1:{port}"}
        async with installation(**environment) as installed, system(installed, parts=("api",)) as running:
            database, workers = Database(installed.sql_url), [Agents(installed), Agents(installed)]
            try:
                made = (await running.client.post("/agents/flows", json=definition(port))).raise_for_status().json()
                for number in range(kills):
                    await both_work(running, database, workers, made["flow_id"])
                    ids = await begun(running, database, made["flow_id"], executions)
                    late += await taken_over(database, workers[number % 2], ids)
                    ends, started = await stopped(running, database, ids)
                    stops, after = stops + ends, after + started
                    print(f"\r{number + 1} of {kills} kills", end="", file=sys.stderr, flush=True)
            finally:
                print(file=sys.stderr)
                for worker in workers:
                    worker.kill()
                await database.dispose()
    p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
    print(f"{kills} kills, {len(late)} executions held by the killed, load {os.getloadavg()[0]:.1f}")
    print(f"killed, until it goes on: p50 {p50:.1f} s, p99 {p99:.1f} s, longest {max(late):.1f} s")
    print(f"cancelled, until it is over: p50 {quantile(stops, 0.5):.2f} s, longest {max(stops):.2f} s of {len(stops)}")
    print(f"nodes started after that: {after}")
    print(f"aims: {AIM_P50_SECONDS:.0f} s, {AIM_P99_SECONDS:.0f} s; {AIM_STOPPED_SECONDS:.0f} s, 0")
    return int(p50 > AIM_P50_SECONDS or p99 > AIM_P99_SECONDS or max(stops) > AIM_STOPPED_SECONDS or after > 0)


def main() -> int:
    arguments = argparse.ArgumentParser(description="How soon executions go on after a kill, and stop when cancelled.")
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--executions", type=int, default=16)
    given = arguments.parse_args()
    print(heading(f"Killed and cancelled, {given.executions} executions on two processes of agents"))
    return asyncio.run(run(given.kills, given.executions))


if __name__ == "__main__":
    raise SystemExit(main())
