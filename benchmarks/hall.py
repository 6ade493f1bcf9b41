"""What the hall costs: an authenticated, rate-limited, paginated list against a bare route of the same framework.

    python -m benchmarks.hall [--seconds 3] [--rounds 2]

One worker each, taking turns in one run. Requests are pipelined over a few connections, so that the measuring client,
on the other core, is not what is measured. A step's cost is the CPU time a request takes less without it.
"""

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from benchmarks.hall_server import STEPS
from benchmarks.machine import heading
from benchmarks.system import Installation, free_port, installation, system
from benchmarks.throughput import post, texts

AIM = 0.35
PATH = "/api/v1/rag/documents?limit=20"
_CONNECTIONS, _PIPELINED = 8, 25
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def load(port: int, request: bytes, seconds: float) -> Counter[int]:
    """Ask for that long; return how often each status came."""
    deadline = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_converse(port, request, deadline) for _ in range(_CONNECTIONS)))
    return sum(counts, Counter())


async def _converse(port: int, request: bytes, deadline: float) -> Counter[int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found: Counter[int] = Counter()
    while time.perf_counter() < deadline:
        writer.write(request * _PIPELINED)
        kept, due = b"", _PIPELINED
        while due:
            kept += await reader.read(1 << 18)
            statuses = [int(status) for status in _STATUS.findall(kept)]
            found.update(statuses)
            due -= len(statuses)
            last = max((match.end() for match in _STATUS.finditer(kept)), default=0)
            kept = kept[max(last, len(kept) - 12) :]  # a status may be cut in two
        # The last body may still be on its way: what is left of it is read with the next answers.
    writer.close()
    return found


@asynccontextmanager
async def served(installed: Installation, step: str) -> AsyncIterator[tuple[int, int]]:
    """Serve one variant; yield its port and process id."""
    port = free_port()
    environment = os.environ | installed.environment | {"CODEXOS_HTTP_PORT": str(port), "CODEXOS_EMBEDDER": "hashed"}
    command = [sys.executable, "-m", "benchmarks.hall_server", str(port), step]
    with (installed.home / "hall.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
            while True:
                try:
                    await client.get("/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process so far, with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(installed: Installation, step: str, seconds: float) -> tuple[float, float]:
    """Return requests a second and CPU microseconds a request of one variant."""
    head = f"GET {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {installed.key}\r\n\r\n".encode()
    async with served(installed, step) as (port, pid):
        await load(port, head, 0.5)  # warms it up
        cpu, began = cpu_seconds(pid), time.perf_counter()
        statuses = await load(port, head, seconds)
        wall, used = time.perf_counter() - began, cpu_seconds(pid) - cpu
    requests = sum(statuses.values())
    if set(statuses) != {200}:
        raise RuntimeError(f"{step}: answers were {dict(statuses)}")
    return requests / wall, used / requests * 1e6


async def run(seconds: float, rounds: int) -> int:
    rates: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    async with installation() as installed:
        async with system(installed, parts=["api"]) as running:
            await post(running.client, texts(25, None))
        for _ in range(rounds):
            for step in ("bare", *STEPS):
                rate, cost = await measure(installed, step, seconds)
                rates[step].append(rate)
                costs[step].append(cost)
    bare, whole = statistics.mean(rates["bare"]), statistics.mean(rates["all"])
    print(f"bare route        {bare:8.0f} requests/s  {statistics.mean(costs['bare']):7.0f} µs CPU a request")
    print(f"list of documents {whole:8.0f} requests/s  {statistics.mean(costs['all']):7.0f} µs CPU a request")
    print(f"ratio             {whole / bare:8.2f}            aim: at least {AIM}\n")
    for step in STEPS:
        if step != "all":
            saved = statistics.mean(costs["all"]) - statistics.mean(costs[step])
            print(f"{step:28} {saved:7.0f} µs CPU a request")
    return 0 if whole / bare >= AIM else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    print(heading("The hall against a bare route"))
    return asyncio.run(run(chosen.seconds, chosen.rounds))


if __name__ == "__main__":
    sys.exit(main())
