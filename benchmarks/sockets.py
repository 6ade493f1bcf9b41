"""Executions followed over a thousand WebSockets at once: how late their events arrive, and whether all do.

    python -m benchmarks.sockets [--sockets 1000] [--per-second 20]

Each connection executes a flow that asks a person; once all of them wait, so many connections a second answer theirs,
and ten nodes follow. An event's lateness is the time of its arrival less its `ts`, the moment its node told it: it
covers the commit of the step, the way to the server process that has the connection, and the client. API, agents and
client share the machine's cores. Every connection has to hear every number of its execution once.
"""

import argparse
import asyncio
import json
import os
import resource
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.machine import heading, quantile
from benchmarks.system import System, installation, system

NODES = 10
_OPENED_AT_ONCE = 32
_LIMIT_SECONDS = 300.0


@dataclass(slots=True, kw_only=True)
class Follower:
    """A connection and what it has heard."""

    socket: ClientConnection
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    execution_id: str = ""
    last: int = 0
    gaps: int = 0
    doubled: int = 0
    ended: str = ""
    answered_at: float = 0.0
    # Of what came after the answer: milliseconds an event, and seconds from the answer to the end.
    late: list[float] = field(default_factory=list)
    seconds: float = 0.0

    async def follow(self) -> None:
        """Listen until the execution is over."""
        async for text in self.socket:
            at = time.time()
            told = json.loads(text)
            if told["type"] == "error":
                raise RuntimeError(f"the server answered {told['data']}")
            self.execution_id = told["execution_id"] or self.execution_id
            if told["seq"] is None:
                continue
            first = told.get("from_seq", told["seq"])
            self.gaps += max(0, first - self.last - 1)
            self.doubled += max(0, self.last - first + 1)
            self.last = max(self.last, told["seq"])
            if self.answered_at:
                self.late.append((at - datetime.fromisoformat(told["ts"]).timestamp()) * 1000)
            if told["type"] == "execution.waiting":
                self.waits.set()
            elif told["type"].startswith("execution.") and told["type"] != "execution.started":
                self.ended, self.seconds = told["type"], time.perf_counter() - self.answered_at
                return

    async def answer(self) -> None:
        self.answered_at = time.perf_counter()
        await self.socket.send(json.dumps({"type": "respond", "execution_id": self.execution_id, "answer": "go"}))


def definition() -> dict[str, Any]:
    """Return a flow that asks a person, and then does ten times nothing."""
    names = [f"n{number}" for number in range(NODES)]
    nodes: list[dict[str, Any]] = [{"id": "ask", "type": "human", "config": {"prompt": "Go on?", "choices": ["go"]}}]
    nodes += [{"id": name, "type": "template", "config": {"template": "x"}} for name in names]
    edges = [{"source": "ask", "target": names[0], "condition": "go"}]
    edges += [{"source": a, "target": b} for a, b in pairwise(names)]
    return {"name": "sockets", "nodes": nodes, "edges": edges}


async def followers(running: System, key: str, flow_id: str, count: int, stack: AsyncExitStack) -> list[Follower]:
    """Connect, execute, and return once every execution waits."""
    places = asyncio.Semaphore(_OPENED_AT_ONCE)
    address = str(running.client.base_url).replace("http", "ws", 1).removesuffix("/api/v1/") + "/ws"
    tasks: list[asyncio.Task[None]] = []

    async def opened(number: int) -> Follower:
        async with places:
            connection = connect(
                f"{address}/bench-{number}",
                additional_headers={"Authorization": f"Bearer {key}"},
                proxy=None,
                open_timeout=60,
                compression=None,
                ping_interval=None,
            )
            follower = Follower(socket=await stack.enter_async_context(connection))
            tasks.append(asyncio.create_task(follower.follow()))
            await follower.socket.send(json.dumps({"type": "execute", "flow_id": flow_id, "input": {}}))
            await asyncio.wait_for(follower.waits.wait(), 60)
        return follower

    async with asyncio.timeout(_LIMIT_SECONDS):
        return list(await asyncio.gather(*(opened(number) for number in range(count))))


async def answered(all_of_them: Sequence[Follower], per_second: float) -> None:
    """Answer so many a second, and return when every execution is over."""
    began = time.perf_counter()
    for number, follower in enumerate(all_of_them):
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        await follower.answer()
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not all(follower.ended for follower in all_of_them):
            await asyncio.sleep(0.05)


async def run(sockets: int, per_second: float) -> int:
    environment = {"CODEXOS_EMBEDDER": "hashed", "CODEXOS_HTTP_WORKERS": "2"}
    async with installation(**environment) as installed, system(installed, parts=("api", "agents")) as running:
        made = await running.client.post("/agents/flows", json=definition())
        made.raise_for_status()
        before = running.resident_bytes("api")
        async with AsyncExitStack() as stack:
            began = time.perf_counter()
            all_of_them = await followers(running, installed.key, made.json()["flow_id"], sockets, stack)
            took = time.perf_counter() - began
            each = (running.resident_bytes("api") - before) / sockets
            print(f"{sockets} connections, each with an execution that waits: after {took:.1f} s, load {_load()}")
            print(f"memory of the API a connection: {each / 1024:.0f} KiB")
            await answered(all_of_them, per_second)
    late = [value for follower in all_of_them for value in follower.late]
    seconds = [follower.seconds for follower in all_of_them]
    completed = sum(follower.ended == "execution.completed" for follower in all_of_them)
    gaps, doubled = (sum(getattr(each, name) for each in all_of_them) for name in ("gaps", "doubled"))
    print(f"{per_second:g} answers a second: {completed} of {sockets} completed, {len(late)} events, load {_load()}")
    print(f"lateness of an event: p50 {_ms(late, 0.5)}, p95 {_ms(late, 0.95)}, p99 {_ms(late, 0.99)} ms")
    ends = [each * 1000 for each in seconds]
    print(f"answer to the end of {NODES} nodes: p50 {_ms(ends, 0.5)}, p95 {_ms(ends, 0.95)} ms")
    print(f"gaps {gaps}, doubled {doubled}")
    return int(gaps + doubled > 0 or completed < sockets)


def _ms(values: list[float], share: float) -> str:
    return f"{quantile(values, share):.0f}"


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> int:
    arguments = argparse.ArgumentParser(description="How late events arrive over many WebSockets.")
    arguments.add_argument("--sockets", type=int, default=1000)
    arguments.add_argument("--per-second", type=float, default=20)
    given = arguments.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(heading(f"Executions over {given.sockets} WebSockets, {datetime.now(UTC):%H:%M} UTC"))
    return asyncio.run(run(given.sockets, given.per_second))


if __name__ == "__main__":
    raise SystemExit(main())
