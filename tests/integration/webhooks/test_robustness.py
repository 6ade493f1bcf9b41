"""What fails around the dispatcher costs time, and never an event."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis
from sqlalchemy import func, select

from core.clock import SystemClock
from core.events import EventType
from core.ids import TenantId
from server.webhooks.dispatch.dispatcher import Dispatcher
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import OutboxRow
from tests import real_parts
from tests.factories.webhooks import add_endpoint, dispatching, tell
from tests.fakes.receiver import Receiver, receiving

DRAINED_SECONDS = 30.0


@asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


def ids(receiver: Receiver, path: str = "/hook") -> list[str]:
    return [each.headers["webhook-id"] for each in receiver.told if each.path == path]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_redis_may_be_wiped_cut_stopped_and_killed(database: Database, tenant_id: TenantId) -> None:
    """Each in the middle of events: all arrive, once, no later than 30 s after Redis is back, or will never be."""
    with receiving() as receiver, real_parts.redis_process() as (redis_url, redis), ExitStack() as started:
        await add_endpoint(database, tenant_id, f"{receiver.url}/hook")
        async with (
            Redis.from_url(redis_url) as client,
            dispatching(database, redis_url) as (dispatcher, outbox),
            running(dispatcher),
        ):
            told = []

            async def commit(events: int = 50) -> None:
                told.extend([await tell(database, tenant_id, outbox, {"number": n}) for n in range(events)])

            async def drained(what_happened: str) -> None:
                back_at = time.monotonic()
                await until(lambda: len(receiver.told) >= len(told), 60)
                took = time.monotonic() - back_at
                assert took <= DRAINED_SECONDS, f"{what_happened}: {took:.1f} s"

            await commit()
            await client.flushall()
            await commit()
            await drained("wiped")
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            await commit()
            await drained("connections cut")
            redis.send_signal(signal.SIGSTOP)
            await commit()
            redis.send_signal(signal.SIGCONT)
            await drained("stopped")
            redis.kill()
            redis.wait()
            await commit()
            again = started.enter_context(real_parts.started_anew(redis))
            await drained("killed and started anew, empty")
            again.kill()
            again.wait()
            await commit()
            await drained("killed for good")
        assert sorted(ids(receiver)) == sorted(told)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_endpoint_that_never_answers_takes_no_place_from_others(
    database: Database, tenant_id: TenantId, redis_url: str
) -> None:
    """Others are told of the very same events while it is silent; it holds as many places as one may, and no more."""
    with receiving() as receiver:
        receiver.status_of = lambda path: 0 if path == "/silent" else 204
        for path in ("hook", "silent"):
            await add_endpoint(database, tenant_id, f"{receiver.url}/{path}")
        places = {"per_endpoint": 4, "in_flight": 8, "grace_seconds": 0.2}
        async with dispatching(database, redis_url, **places) as (dispatcher, outbox), running(dispatcher):
            told = [await tell(database, tenant_id, outbox, {"number": number}) for number in range(200)]
            await until(lambda: len(ids(receiver)) >= 200)
            assert len(ids(receiver, "/silent")) == 4
        assert sorted(ids(receiver)) == sorted(told)


@pytest.mark.parametrize("requests", [300, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_events_are_as_many_as_commits(database: Database, tenant_id: TenantId, requests: int) -> None:
    """A request that commits or is undone by the toss of a coin, also after a part of it was done."""
    outbox, dice, commits = Outbox(SystemClock()), random.Random(requests), 0
    for number in range(requests):
        async with database.unit_of_work() as work:
            for step in range(dice.randint(1, 3)):
                async with database.transaction() as session:
                    outbox.append(session, tenant_id, EventType.RAG_DOCUMENT_INDEXED, {"n": number, "step": step})
            if dice.random() < 0.5:
                await work.commit()
                commits += step + 1
    counted = await database.rows(select(func.count()).select_from(OutboxRow))
    assert counted[0][0] == commits
