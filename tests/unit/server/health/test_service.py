"""Readiness asks all parts side by side, is not held up by any, and is not asked into the ground."""

import asyncio
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from server.health import service
from server.health.schemas import State
from server.health.service import Check, HealthService


async def test_ready_when_all_parts_are() -> None:
    """Every part is named with its state."""

    async def fine() -> State:
        return "ok"

    answer = await HealthService({"sql": fine, "redis": fine}).readiness()
    assert answer.status == "ready"
    assert {name: part.status for name, part in answer.parts.items()} == {"sql": "ok", "redis": "ok"}


async def test_one_part_that_does_not_serve_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that raises or hangs is down, one that starts is starting, and the others are shown as they are."""
    monkeypatch.setattr(service, "_TIMEOUT_SECONDS", 0.05)

    async def fine() -> State:
        return "ok"

    async def broken() -> State:
        raise ConnectionRefusedError

    async def hangs() -> State:
        await asyncio.Event().wait()
        return "ok"

    async def starting() -> State:
        return "starting"

    answer = await HealthService({"a": fine, "b": broken, "c": hangs, "d": starting}).readiness()
    assert answer.status == "not_ready"
    assert [part.status for part in answer.parts.values()] == ["ok", "down", "down", "starting"]


async def test_many_who_ask_at_once_cause_one_look() -> None:
    """A balancer's probes must not become the load."""
    looks = 0

    async def counted() -> State:
        nonlocal looks
        looks += 1
        return "ok"

    health = HealthService({"sql": counted})
    await asyncio.gather(*(health.readiness() for _ in range(50)))
    assert looks == 1


async def test_status_page_names_no_products_and_no_reasons() -> None:
    """Each component has its condition and since when; a part that fails is down, the whole degraded."""
    states: dict[str, State] = {"sql": "ok", "worker": "ok"}
    clock = FrozenClock()

    def check(name: str) -> Check:
        async def asked() -> State:
            if states[name] == "down":
                raise ConnectionRefusedError("10.0.0.7:5432 refuses")
            return states[name]

        return asked

    health = HealthService({name: check(name) for name in states}, clock)
    began = clock.now()
    page = await health.status_page()
    assert (page.status, [part.name for part in page.components]) == ("operational", ["database", "indexing"])
    health._asked_at = float("-inf")
    clock.advance(timedelta(minutes=5))
    states["worker"] = "down"
    page = await health.status_page()
    assert [(part.status, part.since) for part in page.components] == [("operational", began), ("down", clock.now())]
    assert page.status == "degraded"
    assert "10.0.0.7" not in page.model_dump_json()
    health._asked_at = float("-inf")
    states["sql"] = "down"
    assert (await health.status_page()).status == "down"
