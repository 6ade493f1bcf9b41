"""Webhooks: how soon an event arrives, how many a second, and what a million old ones cost.

    python -m benchmarks.webhooks [--events 2000] [--old 1000000]

The dispatcher and the receiver are processes of their own, over loopback, with SQLite and the embedded Redis.

- freshness: from the commit of an event to the receiver having read its request, at 100 events a second;
- rate: deliveries a second while all wait already, and the same requests by the bare HTTP client the dispatcher uses,
  as many at once, with nothing else to do (its ceiling on this machine);
- claim: what one look for due deliveries takes, and one claim of 64, before and after so many old events and deliveries
  have been added.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from benchmarks.machine import heading, quantile
from benchmarks.system import Installation, installation
from core.clock import SystemClock
from core.events import EventType
from core.ids import TenantId, new_event_id, new_id
from core.settings import Settings
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.sealing import Sealing
from server.webhooks.signing import new_secret
from stores.outbox import Outbox
from stores.redis import EVENTS, Bell, connect
from stores.sql.engine import Database
from stores.sql.models import DeliveryState, OutboxRow, WebhookDeliveryRow, WebhookEndpointRow
from vault.open import open_envelope

AIM_P50_MS = 50.0
AIM_P99_MS = 500.0
AIM_RATE = 0.5
# The same but for noise: what grows with the table would be tens of times as slow.
AIM_GROWTH = 1.25
_PER_SECOND = 100
_IN_FLIGHT = 32
_OLD_AT_ONCE = 20_000
_CLAIMS = 150
_OLD_NUMBERS = 10_000_000
_PAYLOAD = {"document_id": new_id(), "source": "handbook.pdf", "revision": 1, "chunk_count": 12}


class ReceiverProcess:
    """`python -m benchmarks.webhook_receiver`, which answers questions."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.webhook_receiver"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self._line()}"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, what: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    async def until(self, count: int, seconds: float = 300.0) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(seconds):
            while self.ask("count") < count:
                await asyncio.sleep(0.02)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A tenant with one endpoint, the receiver."""

    installed: Installation
    database: Database
    outbox: Outbox
    receiver: ReceiverProcess
    endpoint_id: str

    async def commit(self, events: int) -> list[str]:
        async with self.database.transaction() as session:
            tenant_id = TenantId(self.installed.tenant_id)
            return [
                self.outbox.append(session, tenant_id, EventType.RAG_DOCUMENT_INDEXED, _PAYLOAD) for _ in range(events)
            ]

    @contextmanager
    def dispatcher(self) -> Iterator[None]:
        """Run the dispatcher until the end of the block."""
        environment = os.environ | self.installed.environment
        environment |= {"CODEXOS_EGRESS_ALLOW": "127.0.0.0/8", "CODEXOS_WEBHOOKS_IN_FLIGHT": str(_IN_FLIGHT)}
        with (self.installed.home / "dispatcher.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "server", "dispatcher"], env=environment, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


async def freshness(stage: Stage, events: int) -> list[float]:
    """Return for each event the milliseconds from its commit to its arrival."""
    committed: dict[str, float] = {}
    with stage.dispatcher():
        await stage.commit(1)
        await stage.receiver.until(1)  # it has started, and a connection is open
        began = time.monotonic()
        for number in range(events):
            await asyncio.sleep(max(0.0, began + number / _PER_SECOND - time.monotonic()))
            [event_id] = await stage.commit(1)
            committed[event_id] = time.monotonic()
        await stage.receiver.until(events + 1)
    arrived = dict(stage.receiver.ask("told"))
    return [(arrived[event_id] - at) * 1000 for event_id, at in committed.items()]


async def rate(stage: Stage, events: int) -> float:
    """Return the deliveries a second, from the first to the last of those that all wait when the dispatcher starts."""
    before = stage.receiver.ask("count")
    for _ in range(events // 100):
        await stage.commit(100)
    with stage.dispatcher():
        await stage.receiver.until(before + events)
    times = sorted(at for _, at in stage.receiver.ask("told")[before:])
    return (len(times) - 1) / float(times[-1] - times[0])


async def ceiling(stage: Stage, requests: int) -> float:
    """Return the requests a second of the HTTP client alone: the same bytes, as many at once, one body for all."""
    last = stage.receiver.ask("last")
    sent = json.dumps({"url": f"{stage.receiver.url}{last['path']}", "headers": last["headers"], "body": last["body"]})
    command = [sys.executable, "-m", "benchmarks.webhook_client", str(requests), str(_IN_FLIGHT)]
    done = await asyncio.to_thread(subprocess.run, command, input=sent, capture_output=True, text=True, check=True)
    return float(done.stdout)


async def claims(stage: Stage) -> tuple[list[float], list[float]]:
    """Return the milliseconds of looks that find nothing, and of claims of 64."""
    deliveries = Deliveries(stage.database, SystemClock(), stage.outbox, lease=timedelta(hours=1))
    looks, taken = [], []
    for _ in range(100):
        began = time.perf_counter()
        assert not await deliveries.claim(limit=64, per_endpoint=64, under_way=Counter())
        looks.append((time.perf_counter() - began) * 1000)
    await add_deliveries(stage, _CLAIMS * 64, DeliveryState.PENDING)
    for _ in range(_CLAIMS):
        began = time.perf_counter()
        assert len(await deliveries.claim(limit=64, per_endpoint=64, under_way=Counter())) == 64
        taken.append((time.perf_counter() - began) * 1000)
    return looks, taken


async def add_deliveries(stage: Stage, count: int, state: DeliveryState) -> None:
    """Add events that were handed out long ago, each with its delivery."""
    now, tenant_id = SystemClock().now(), stage.installed.tenant_id
    for first in range(0, count, _OLD_AT_ONCE):
        events = [new_event_id() for _ in range(min(_OLD_AT_ONCE, count - first))]
        common = {"tenant_id": tenant_id, "created_at": now}
        async with stage.database.transaction() as session:
            connection = await session.connection()
            if state is not DeliveryState.PENDING:
                told = {"type": EventType.RAG_DOCUMENT_INDEXED.value, "payload": _PAYLOAD, **common}
                rows = [
                    {"id": event, "number": 10_000_000 + first + place, **told} for place, event in enumerate(events)
                ]
                await connection.execute(insert(OutboxRow), rows)
            sent = {
                "endpoint_id": stage.endpoint_id,
                "event_type": EventType.RAG_DOCUMENT_INDEXED.value,
                "copy": 0,
                "body": json.dumps(_PAYLOAD),
                "state": state,
                "attempts": 1,
                "fence": 1,
                "available_at": now,
                **common,
            }
            rows = [{"id": new_id(), "event_id": event, **sent} for event in events]
            await connection.execute(insert(WebhookDeliveryRow), rows)
        print(f"\r{first + len(events):,} of {count:,} added", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


async def run(events: int, old: int) -> int:
    async with installation() as installed:
        database, redis = Database(installed.sql_url), connect(installed.environment["CODEXOS_REDIS_URL"])
        outbox = Outbox(SystemClock(), Bell(redis, "benchmark", wakes=EVENTS))
        receiver = ReceiverProcess()
        try:
            endpoint_id = await _add_endpoint(installed, database, f"{receiver.url}/hook")
            stage = Stage(
                installed=installed, database=database, outbox=outbox, receiver=receiver, endpoint_id=endpoint_id
            )
            soon = await freshness(stage, events)
            p50, p99 = quantile(soon, 0.5), quantile(soon, 0.99)
            print(f"commit to arrival at {_PER_SECOND}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
            rates = [(await rate(stage, events), await ceiling(stage, events)) for _ in range(3)]
            share = quantile([ours / bare for ours, bare in rates], 0.5)
            for ours, bare in rates:
                print(f"deliveries a second: {ours:.0f}, the HTTP client alone {bare:.0f}: {ours / bare:.2f}")
            few = await _print_claims("few rows", stage)
            await add_deliveries(stage, old, DeliveryState.SUCCEEDED)
            many = await _print_claims(f"{old:,} old events and deliveries", stage)
            growth = many / few
            print(f"a claim takes {growth:.2f} times as long")
        finally:
            receiver.end()
            await redis.aclose()
            await database.dispose()
    print(f"aims: p50 {AIM_P50_MS:.0f} ms, p99 {AIM_P99_MS:.0f} ms, share {AIM_RATE}, claims {AIM_GROWTH}")
    return int(p50 > AIM_P50_MS or p99 > AIM_P99_MS or share < AIM_RATE or growth > AIM_GROWTH)


async def _print_claims(when: str, stage: Stage) -> float:
    looks, taken = await claims(stage)
    print(f"with {when}: look p50 {quantile(looks, 0.5):.2f} ms, claim of 64 p50 {quantile(taken, 0.5):.1f} ms")
    return quantile(taken, 0.5)


async def _add_endpoint(installed: Installation, database: Database, url: str) -> str:
    endpoint_id, now = new_id(), SystemClock().now()
    sealing = Sealing(envelope=open_envelope(Settings(home=installed.home)))
    async with database.transaction() as session:
        session.add(
            WebhookEndpointRow(
                id=endpoint_id,
                tenant_id=installed.tenant_id,
                url=url,
                description="",
                event_types=["*"],
                ordered=False,
                sealed_headers=sealing.seal_headers("{}", endpoint_id),
                sealed_secret=sealing.seal_secret(new_secret(), endpoint_id),
                failures_in_a_row=0,
                version=1,
                created_at=now,
                updated_at=now,
            )
        )
    return endpoint_id


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=2000)
    arguments.add_argument("--old", type=int, default=1_000_000)
    given = arguments.parse_args()
    print(heading("Webhooks"))
    return asyncio.run(run(given.events, given.old))


if __name__ == "__main__":
    raise SystemExit(main())
