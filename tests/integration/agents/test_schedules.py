"""Schedules: each time decided once, by whichever process comes first."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from core.clock import SystemClock
from core.errors import Conflict, ResourceNotFound
from core.ids import ApiKeyId, TenantId, new_id
from server.agents.assembly import Agents, agents_wing
from server.agents.schedules.schemas import RunsQuery, ScheduleBody, ScheduleChange
from server.auth.api_keys.service import create_tenant
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import ExecutionRow
from tests.integration.agents.flows import flow_of

NOON = datetime(2026, 6, 1, 12, 0, 30, tzinfo=UTC)
FLOW: Mapping[str, Any] = {"nodes": [{"id": "in", "type": "input"}], "edges": []}


class SilentBell:
    async def ring(self) -> None:
        pass


@dataclass
class SetClock:
    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@dataclass(kw_only=True)
class Place:
    database: Database
    owner: Principal
    flow_id: str
    wing: Agents
    clock: SetClock = field(default_factory=SetClock)

    async def schedule(self, **given: Any) -> str:
        body = ScheduleBody.model_validate({"name": new_id(), "cron": "* * * * *", "input": {"n": 1}} | given)
        return (await self.wing.schedules.create(self.owner, self.flow_id, body)).schedule_id

    async def outcomes(self, schedule_id: str) -> list[str]:
        query = RunsQuery.model_validate({"limit": 100})
        page = await self.wing.schedules.runs(self.owner, self.flow_id, schedule_id, query)
        return [each.outcome for each in reversed(page.items)]

    async def executions(self, schedule_id: str) -> list[ExecutionRow]:
        async with self.database.reading() as session:
            query = (
                select(ExecutionRow).where(ExecutionRow.schedule_id == schedule_id).order_by(ExecutionRow.created_at)
            )
            return list(await session.scalars(query))

    async def end_all(self) -> None:
        async with self.database.transaction() as session:
            await session.execute(update(ExecutionRow).values(state="completed"))

    async def later(self, **passed: int) -> int:
        self.clock.at += timedelta(**passed)
        return await self.wing.schedules.decide_all()


def _wing(database: Database, clock: SetClock, folder: str) -> Agents:
    return agents_wing(
        database=database,
        blobs=BlobStore(folder),
        outbox=Outbox(clock),
        bell=SilentBell(),  # type: ignore[arg-type]  # nobody listens
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        cursors=Cursors(lambda content: [content[:32].ljust(32)]),
    )


@pytest.fixture
async def place(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    database, clock = Database(database_url), SetClock()
    tenant_id = await create_tenant(database, SystemClock(), "test")
    owner = Principal(tenant_id=TenantId(tenant_id), scopes=frozenset(), key_id=ApiKeyId(new_id()))
    flow_id = await flow_of(database, tenant_id, FLOW)
    wing = _wing(database, clock, tmp_path_factory.mktemp("blobs").as_uri())
    yield Place(database=database, owner=owner, flow_id=flow_id, wing=wing, clock=clock)
    await database.dispose()


async def test_execution_may_cost_as_much_as_any_other(place: Place) -> None:
    """More than 2,147, whose millionths no longer fit into 32 bits: kept, shown, and given to what is started."""
    schedule_id = await place.schedule(max_cost=1_000_000_000)
    place.clock.at += timedelta(minutes=1)
    assert await place.wing.schedules.decide_all() == 1
    view = await place.wing.schedules.get(place.owner, place.flow_id, schedule_id)
    async with place.database.reading() as session:
        granted = await session.scalar(select(ExecutionRow.max_cost_micros))
    assert (view.max_cost, granted) == (1_000_000_000, 10**15)


async def test_time_is_decided_once_by_two_that_look_at_once(place: Place) -> None:
    """Two services over two pools, many times: one execution for each time, with what it was to be given."""
    schedule_id = await place.schedule()
    other = Database(place.database.url.render_as_string(hide_password=False))
    rival = _wing(other, place.clock, "memory://blobs").schedules
    for _ in range(5):
        place.clock.at += timedelta(minutes=1)
        decided = await asyncio.gather(*(each.decide_all() for each in (place.wing.schedules, rival) * 2))
        assert sum(decided) == 1
        await place.end_all()
    await other.dispose()
    rows = await place.executions(schedule_id)
    assert [(row.mode, row.input, row.created_by) for row in rows] == [
        ("schedule", '{"n": 1}', place.owner.subject)
    ] * 5
    assert await place.outcomes(schedule_id) == ["started"] * 5


async def test_what_was_missed_is_made_up_for_once(place: Place) -> None:
    """A day without a system is 1,440 times of every minute, and one execution."""
    schedule_id = await place.schedule()
    assert await place.later(days=1) == 1
    assert await place.later(seconds=20) == 0
    await place.end_all()
    assert await place.later(minutes=1) == 1
    assert await place.outcomes(schedule_id) == ["started", "started"]


@pytest.mark.parametrize(
    ("overlap", "outcomes", "states"),
    [
        ("skip", ["started", "skipped", "skipped"], ["queued"]),
        ("queue", ["started", "queued", "skipped"], ["queued"]),
        ("cancel_running", ["started", "started", "started"], ["cancelled", "cancelled", "queued"]),
    ],
)
async def test_what_happens_while_one_still_runs(
    place: Place, overlap: str, outcomes: list[str], states: list[str]
) -> None:
    """As the schedule says."""
    schedule_id = await place.schedule(overlap=overlap)
    for _ in range(3):
        await place.later(minutes=1)
    assert await place.outcomes(schedule_id) == outcomes
    assert [row.state for row in await place.executions(schedule_id)] == states


async def test_what_is_queued_begins_when_its_turn_comes(place: Place) -> None:
    """Once, and as soon as the one before is over."""
    schedule_id = await place.schedule(overlap="queue", cron="0 13 * * *")
    await place.later(hours=1)
    await place.later(days=1)
    assert await place.outcomes(schedule_id) == ["started", "queued"]
    assert await place.later(seconds=1) == 0
    await place.end_all()
    assert await place.later(seconds=1) == 1
    assert await place.later(seconds=1) == 0
    assert await place.outcomes(schedule_id) == ["started", "started"]
    assert len(await place.executions(schedule_id)) == 2


async def test_flow_that_lacks_something_is_not_begun(place: Place) -> None:
    """Why is told beforehand, of each time, and of the schedule, until there is nothing more to tell."""
    needy = {
        "nodes": [
            {"id": "in", "type": "input"},
            {"id": "s", "type": "template", "config": {"template": {"$secret": "k"}}},
        ],
        "edges": [{"source": "in", "target": "s"}],
    }
    place.flow_id = await flow_of(place.database, place.owner.tenant_id, needy)
    schedule_id = await place.schedule()
    view = await place.wing.schedules.get(place.owner, place.flow_id, schedule_id)
    assert [each.code for each in view.problems] == ["missing_secret"]
    await place.later(minutes=1)
    assert await place.outcomes(schedule_id) == ["refused"]
    view = await place.wing.schedules.get(place.owner, place.flow_id, schedule_id)
    assert (view.last_problem or "").startswith("There is no such secret")
    assert await place.executions(schedule_id) == []


async def test_pausing_and_changing(place: Place) -> None:
    """What comes to pass while it is paused is not made up for; names are told apart; a stranger finds nothing."""
    schedule_id = await place.schedule(name="daily", cron="30 2 * * *", timezone="Europe/Berlin")
    schedules = place.wing.schedules

    async def changed(**given: Any) -> Any:
        asked = ScheduleChange.model_validate(given)
        return await schedules.change(place.owner, place.flow_id, schedule_id, asked, expected=None)

    assert (await changed(paused=True)).next_at is None
    assert await place.later(days=3) == 0
    assert (await changed(paused=False)).next_at == datetime(2026, 6, 5, 0, 30, tzinfo=UTC)
    with pytest.raises(Conflict):
        await place.schedule(name="daily")
    stranger = Principal(tenant_id=TenantId(new_id()), scopes=frozenset(), key_id=ApiKeyId(new_id()))
    with pytest.raises(ResourceNotFound):
        await schedules.get(stranger, place.flow_id, schedule_id)
    await schedules.delete(place.owner, place.flow_id, schedule_id)
    assert await place.later(days=3) == 0
