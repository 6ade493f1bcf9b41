"""Ends of secrets are told in time, once each, by Dagster; what was deleted long enough ago is destroyed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest
from sqlalchemy import func, select, update

from assets.resources import PlatformResource
from assets.secrets.sensors import secret_keeper
from core.clock import Clock, FrozenClock
from core.ids import TenantId
from stores.sql.models import OutboxRow, SecretRow, SecretValueRow, SecretVersionRow, TenantRow, VaultKeyRow
from vault.access import Reader, Terms
from vault.safe import Safe

TENANT = TenantId("0192f0c1-2b7e-7c3a-9d54-1f1e6a0b7c11")
CLOCK = FrozenClock(datetime.now(UTC))
Result = TypeVar("Result")


class MovedPlatform(PlatformResource):
    """The platform at whatever time it is by CLOCK."""

    @property
    def clock(self) -> Clock:
        return CLOCK


@pytest.fixture
def instance(home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path / "dagster"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        yield instance


def in_safe(do: Callable[[Safe], Awaitable[Result]]) -> Result:
    """Run `do` with a safe over the database that the sensor works on."""

    async def run() -> Result:
        platform = MovedPlatform()
        async with platform.secret_keeper() as keeper:
            return await do(keeper.safe)

    return asyncio.run(run())


@pytest.fixture
def tenant(home: Path) -> TenantId:
    async def add(safe: Safe) -> None:
        async with safe.database.transaction() as session:
            session.add(TenantRow(id=TENANT, name="t", created_at=CLOCK.now()))

    in_safe(add)
    return TENANT


def put(key: str, **lifetime: float) -> None:
    ends = CLOCK.now() + timedelta(**lifetime) if lifetime else None
    in_safe(lambda safe: safe.put(TENANT, key, "hunter2", Terms(), expires_at=ends, cas=None, by="key:k"))


def tick(instance: dg.DagsterInstance) -> str:
    with dg.build_sensor_context(instance=instance, resources={"platform": MovedPlatform()}) as context:
        skipped = secret_keeper(context)
    assert isinstance(skipped, dg.SkipReason)
    return str(skipped.skip_message)


def told() -> list[tuple[str, Any]]:
    async def read(safe: Safe) -> list[tuple[str, Any]]:
        rows = await safe.database.rows(select(OutboxRow.type, OutboxRow.payload).order_by(OutboxRow.sequence))
        wanted = ("vault.secret.expiring", "vault.secret.expired")
        return [(payload["key"], payload.get("days", "over")) for kind, payload in rows if kind in wanted]

    return in_safe(read)


def test_each_end_is_told_30_7_and_1_day_before_and_once_it_is_there(
    instance: dg.DagsterInstance, tenant: TenantId
) -> None:
    """Once each, however often it ticks; what ends sooner begins with the nearest; what was deleted is not told."""
    put("k", days=40)
    put("short", days=5)
    put("forever")
    put("deleted", days=20)
    in_safe(lambda safe: safe.delete(TENANT, "deleted", by="key:k"))
    expected: list[tuple[str, Any]] = [("short", 7)]
    for days, more in ((0, []), (4.5, [("short", 1)]), (1, [("short", "over")]), (5, [("k", 30)]), (23, [("k", 7)]),
                       (6, [("k", 1)]), (1, [("k", "over")]), (100, [])):  # fmt: skip
        CLOCK.advance(timedelta(days=days))
        tick(instance)
        message = tick(instance)
        expected += more
        assert told() == expected, days
        assert message.startswith("Told 0 ends of secrets")
        assert "short" not in message


def test_a_new_version_has_an_end_of_its_own(instance: dg.DagsterInstance, tenant: TenantId) -> None:
    """Rotated in time, it is warned of again when its own end comes near, and of the old one's nothing more."""
    put("k", days=5)
    tick(instance)
    put("k", days=60)
    CLOCK.advance(timedelta(days=10))
    tick(instance)
    assert told() == [("k", 7)]
    CLOCK.advance(timedelta(days=25))
    tick(instance)
    assert told() == [("k", 7), ("k", 30)]


def test_what_was_deleted_is_destroyed_when_its_window_is_over(instance: dg.DagsterInstance, tenant: TenantId) -> None:
    """Not a tick before; then neither the secret nor its sealed value is there."""
    put("k")
    put("kept")
    in_safe(lambda safe: safe.delete(TENANT, "k", by="key:k"))
    CLOCK.advance(timedelta(days=6))
    assert "destroyed 0" in tick(instance)
    CLOCK.advance(timedelta(days=2))
    assert "destroyed 1" in tick(instance)

    async def left(safe: Safe) -> tuple[int, ...]:
        counts = [
            await safe.database.rows(select(func.count()).select_from(row)) for row in (SecretRow, SecretValueRow)
        ]
        return tuple(count for [(count,)] in counts)

    assert in_safe(left) == (1, 1)
    assert in_safe(lambda safe: safe.read(TENANT, "kept", None, Reader(principal="key:k"))).value == "hunter2"


def test_a_deleted_tenants_secrets_are_shredded(instance: dg.DagsterInstance, tenant: TenantId) -> None:
    """Its keys and values are gone with its catalogue; a second tick finds nothing to do."""
    put("k", days=5)
    put("k2")

    async def end(safe: Safe) -> None:
        async with safe.database.transaction() as session:
            await session.execute(update(TenantRow).values(deleted_at=CLOCK.now()))

    in_safe(end)
    assert "forgot those of 1 tenants" in tick(instance)
    assert "forgot those of 0 tenants" in tick(instance)

    async def left(safe: Safe) -> list[int]:
        models = (SecretRow, SecretVersionRow, SecretValueRow, VaultKeyRow)
        counts = [await safe.database.rows(select(func.count()).select_from(model)) for model in models]
        return [count for [(count,)] in counts]

    assert in_safe(left) == [0, 0, 0, 0]
