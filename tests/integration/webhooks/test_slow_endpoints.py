"""Endpoints that never answer, or a byte a second, are nobody else's delay."""

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.ids import TenantId
from stores import embedded_redis
from stores.outbox import Outbox
from stores.sql.engine import Database
from tests.factories.webhooks import add_endpoint, add_tenant, dispatching, tell
from tests.fakes.dribbler import dribbling
from tests.fakes.receiver import Receiver, receiving

# Between an event of one system and the next one's, so that they are seldom at work at the same moment.
GAP_SECONDS = 0.02
MOST_DELAY = 1.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A system of its own, with one endpoint that answers at `path`."""

    database: Database
    tenant_id: TenantId
    outbox: Outbox
    path: str
    committed: dict[str, float] = field(default_factory=dict)

    async def tell(self) -> None:
        event_id = await tell(self.database, self.tenant_id, self.outbox, {})
        self.committed[event_id] = time.monotonic()

    def delays(self, receiver: Receiver) -> list[float]:
        """Return for each event, in their order, the seconds from its commit to its arrival."""
        came = {each.headers["webhook-id"]: each.at for each in receiver.told if each.path == self.path}
        return [came[event_id] - at for event_id, at in self.committed.items()]


@asynccontextmanager
async def system(folder: Path, migrated: Path, receiver: Receiver, *neighbours: str) -> AsyncIterator[Told]:
    """Run a dispatcher for one endpoint that answers and its neighbours, all of which want everything."""
    folder.mkdir()
    shutil.copyfile(migrated, folder / "codexos.sqlite3")
    database = Database(f"sqlite+aiosqlite:///{folder / 'codexos.sqlite3'}")
    tenant_id, path = await add_tenant(database), f"/{folder.name}"
    for url in (f"{receiver.url}{path}", *neighbours):
        await add_endpoint(database, tenant_id, url)
    stop = asyncio.Event()
    with embedded_redis.running(folder / "redis") as redis_url:
        async with dispatching(database, redis_url, timeout_seconds=15.0, grace_seconds=0.1) as (dispatcher, outbox):
            running = asyncio.create_task(dispatcher.run(stop))
            yield Told(database=database, tenant_id=tenant_id, outbox=outbox, path=path)
            stop.set()
            await running
    await database.dispose()


def longer(slowed: Sequence[float], usual: Sequence[float]) -> float:
    """Return how many times as long it takes, by the difference within each round: what slows both cancels out."""
    difference = statistics.median(ours - theirs for ours, theirs in zip(slowed, usual, strict=True))
    return 1.0 + difference / statistics.median(usual)


@pytest.mark.parametrize(
    ("rounds", "most_of_alone"),
    [(80, 1.5), pytest.param(900, MOST_DELAY, marks=pytest.mark.slow)],
    ids=["quick", "full"],
)
async def test_what_never_answers_delays_nobody(
    rounds: int, most_of_alone: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Beside one endpoint that is silent and one that dribbles, the delay is that beside two that answer, or less.

    Three systems take turns, each on a database of its own: alone, beside two that answer, beside the two that do
    not. The long run sees these fail, be tried again, and rest. That an event has more rows where more are told of it
    is part of what is compared with being alone.
    """
    migrated: Path = request.getfixturevalue("_migrated_sqlite")
    dice = random.Random(rounds)
    with receiving() as receiver:
        receiver.status_of = lambda path: 0 if path == "/silent" else 204
        async with (
            dribbling() as dribbler,
            system(tmp_path / "alone", migrated, receiver) as alone,
            system(tmp_path / "usual", migrated, receiver, f"{receiver.url}/x", f"{receiver.url}/y") as usual,
            system(tmp_path / "slowed", migrated, receiver, f"{receiver.url}/silent", dribbler) as slowed,
        ):
            systems = [alone, usual, slowed]
            for _ in range(rounds):
                for each in dice.sample(systems, len(systems)):
                    await each.tell()
                    await asyncio.sleep(GAP_SECONDS)
            async with asyncio.timeout(60):
                while any(sum(told.path == each.path for told in receiver.told) < rounds for each in systems):
                    await asyncio.sleep(0.01)
        bare, healthy, beside = (each.delays(receiver) for each in systems)
        silent = sum(told.path == "/silent" for told in receiver.told)
    print(
        f"commit to arrival, median: alone {statistics.median(bare) * 1000:.1f} ms, beside two that answer "
        f"{statistics.median(healthy) * 1000:.1f} ms, beside two that do not {statistics.median(beside) * 1000:.1f} ms "
        f"({longer(beside, healthy):.2f} of those that answer, {longer(beside, bare):.2f} of alone)"
    )
    assert silent >= 8
    assert longer(beside, healthy) < MOST_DELAY
    assert longer(beside, bare) < most_of_alone
