"""What Dagster's runs did is told: once each, by the outbox alone, to whoever asked for it."""

import asyncio
import json
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import select

from assets.events.sensors import event_teller
from assets.resources import PlatformResource
from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import OutboxRow, TenantRow
from tests.factories.webhooks import add_endpoint, dispatching
from tests.fakes.receiver import receiving


@dg.asset
def harvest() -> None:
    """An asset that is made."""


@dg.asset_check(asset=harvest)
def is_ripe() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, description="It is green.", severity=dg.AssetCheckSeverity.WARN)


@dg.asset
def drought() -> None:
    raise ValueError("no rain")


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    folder = tmp_path / "dagster"
    folder.mkdir()
    return dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}})


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> str:
    resources = {"platform": PlatformResource()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        assert isinstance(event_teller(context), dg.SkipReason)
        assert context.cursor is not None
        return context.cursor


def told(platform: PlatformResource) -> list[tuple[str, dict[str, object]]]:
    async def read() -> list[tuple[str, dict[str, object]]]:
        database = Database(platform.settings.sql_url)
        rows = await database.rows(select(OutboxRow.type, OutboxRow.payload).order_by(OutboxRow.sequence))
        await database.dispose()
        return [(kind, payload) for kind, payload in rows]

    return asyncio.run(read())


@pytest.fixture
def operator(home: Path) -> TenantId:
    """The development tenant, whose webhooks are told."""
    tenant_id = TenantId(new_id())

    async def add() -> None:
        database = Database(PlatformResource().settings.sql_url)
        async with database.transaction() as session:
            session.add(TenantRow(id=tenant_id, name="development", created_at=SystemClock().now()))
        await database.dispose()

    asyncio.run(add())
    return tenant_id


def test_a_run_its_assets_and_its_failed_checks_are_told_once_each(
    instance: dg.DagsterInstance, operator: TenantId
) -> None:
    """Also when a tick died before its cursor was kept, and when nothing happened between two ticks."""
    platform = PlatformResource()
    made = dg.materialize([harvest, is_ripe], instance=instance)
    failed = dg.materialize([drought], instance=instance, raise_on_error=False)
    cursor = tick(instance)
    events = told(platform)
    assert [(kind, payload["run_id"]) for kind, payload in events] == [
        ("data.asset.materialized", made.run_id),
        ("data.asset_check.failed", made.run_id),
        ("data.run.succeeded", made.run_id),
        ("data.run.failed", failed.run_id),
    ]
    assert events[1][1] | {"run_id": ""} == {
        "run_id": "",
        "asset": "harvest",
        "check": "is_ripe",
        "partition": None,
        "severity": "warn",
        "description": "It is green.",
    }
    tick(instance)  # as if the cursor had been lost
    tick(instance, cursor)
    assert told(platform) == events
    again = dg.materialize([harvest, is_ripe], instance=instance)
    tick(instance, cursor)
    assert [payload["run_id"] for _, payload in told(platform)[4:]] == [again.run_id] * 3


def test_without_an_operator_nobody_is_told(instance: dg.DagsterInstance, home: Path) -> None:
    """A tenant must not learn of the platform's runs unless it runs the platform."""
    dg.materialize([harvest], instance=instance)
    tick(instance)
    assert told(PlatformResource()) == []


def test_a_failed_check_and_a_finished_run_reach_a_receiver(
    instance: dg.DagsterInstance, operator: TenantId, tmp_path: Path
) -> None:
    """From Dagster's event log over the outbox and the dispatcher to an endpoint."""
    dg.materialize([harvest, is_ripe], instance=instance)
    tick(instance)

    async def dispatch() -> list[str]:
        database = Database(PlatformResource().settings.sql_url)
        with receiving() as receiver:
            wanted = ["data.asset_check.failed", "data.run.succeeded"]
            await add_endpoint(database, operator, f"{receiver.url}/hook", event_types=wanted)
            async with dispatching(database, f"unix://{tmp_path / 'no-redis.sock'}") as (dispatcher, _):
                stop = asyncio.Event()
                running = asyncio.create_task(dispatcher.run(stop))
                async with asyncio.timeout(20):
                    while len(receiver.told) < 2:
                        await asyncio.sleep(0.01)
                stop.set()
                await running
        await database.dispose()
        return sorted(json.loads(each.body)["type"] for each in receiver.told)

    assert asyncio.run(dispatch()) == ["data.asset_check.failed", "data.run.succeeded"]
