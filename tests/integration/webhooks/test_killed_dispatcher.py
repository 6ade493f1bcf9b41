"""The ledger: whatever kills the dispatcher, every committed event arrives, and no more twice than were in flight."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.clock import SystemClock
from core.events import EventType
from core.ids import TenantId
from core.settings import Settings
from server.webhooks.sealing import Sealing
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import WebhookDeliveryRow
from tests.factories.webhooks import add_endpoint
from tests.fakes.dispatcher_process import DispatcherProcess
from tests.fakes.receiver import Receiver, receiving
from vault.open import open_envelope

IN_FLIGHT = 16
EACH_PART = [("sqlite", "embedded"), ("postgresql", "real")]


@pytest.mark.parametrize(("database_url", "redis_url"), EACH_PART, indirect=True)
@pytest.mark.parametrize(
    ("events", "kills"), [(2_000, 20), pytest.param(20_000, 200, marks=pytest.mark.slow)], ids=["quick", "full"]
)
async def test_a_killed_dispatcher_loses_nothing(
    database: Database, database_url: str, tenant_id: TenantId, redis_url: str, tmp_path: Path, events: int, kills: int
) -> None:
    """kill -9 again and again while events are committed: 0 lost; duplicates at most kills x in flight, byte-equal."""
    dice = random.Random(kills)
    sealing = Sealing(envelope=open_envelope(Settings(home=tmp_path)))
    with receiving() as receiver:
        await add_endpoint(database, tenant_id, f"{receiver.url}/hook", sealing=sealing)
        dispatcher = DispatcherProcess(tmp_path, database_url, redis_url, CODEXOS_WEBHOOKS_IN_FLIGHT=str(IN_FLIGHT))
        committing = asyncio.create_task(commit(database, tenant_id, events))
        for _ in range(kills):
            dispatcher.start()
            before, more = len(receiver.told), dice.randint(1, 2 * events // kills)
            # The last kills may come when nearly all has arrived; what is left then is what is waited for.
            await until(lambda b=before, m=more: len(receiver.told) >= min(b + m, events), 60)  # type: ignore[misc]
            dispatcher.kill()
        told = await committing
        dispatcher.start()
        await until(lambda: len({each.headers["webhook-id"] for each in receiver.told}) >= events, 120)
        await settled(database)
        dispatcher.stop()
    check_ledger(receiver, told, most_doubled=kills * IN_FLIGHT)


async def commit(database: Database, tenant_id: TenantId, events: int) -> set[str]:
    """Commit so many events, ten a transaction, as fast as the database takes them; return their ids."""
    outbox, told = Outbox(SystemClock()), set[str]()
    for first in range(0, events, 10):
        async with database.transaction() as session:
            for number in range(first, min(first + 10, events)):
                told.add(outbox.append(session, tenant_id, EventType.RAG_DOCUMENT_INDEXED, {"number": number}))
    return told


async def until(true: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


async def settled(database: Database) -> None:
    """Wait until SQL knows of every delivery how it ended."""
    waiting = select(func.count()).where(WebhookDeliveryRow.state == "pending")
    async with asyncio.timeout(60):
        while (await database.rows(waiting))[0][0]:
            await asyncio.sleep(0.1)


def check_ledger(receiver: Receiver, committed: set[str], *, most_doubled: int) -> None:
    copies: dict[str, list[bytes]] = {}
    for each in receiver.told:
        copies.setdefault(each.headers["webhook-id"], []).append(each.body)
    doubled = sum(len(bodies) - 1 for bodies in copies.values())
    print(f"{len(committed)} events committed, {len(copies)} arrived, {doubled} doubled (at most {most_doubled})")
    assert set(copies) == committed
    assert doubled <= most_doubled
    assert all(len(set(bodies)) == 1 for bodies in copies.values())
    assert all(json.loads(bodies[0])["id"] == event_id for event_id, bodies in copies.items())
