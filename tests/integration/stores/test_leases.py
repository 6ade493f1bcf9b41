"""A named lease has one holder, on SQLite and PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest

from core.clock import FrozenClock, SystemClock
from core.errors import LeaseLost
from stores.leases import Leases
from stores.sql.engine import Database


async def test_many_holders_take_turns(database: Database) -> None:
    """Twelve contenders for one lease are never inside together, and every fence is new."""
    leases = Leases(database, SystemClock(), timedelta(seconds=30))
    inside = 0
    fences = []

    async def enter(number: int) -> None:
        nonlocal inside
        async with leases.hold("lance:t", f"holder-{number}") as lease:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            fences.append(lease.fence)
            inside -= 1

    await asyncio.gather(*map(enter, range(12)))
    assert sorted(fences) == list(range(1, 13))


async def test_dead_holder_is_replaced_when_its_time_is_up(database: Database, clock: FrozenClock) -> None:
    """A lease that was never given back can be taken after its lifetime, with a higher fence."""
    leases = Leases(database, clock, timedelta(seconds=10))
    dead = leases.hold("lance:t", "dead")
    held = await dead.__aenter__()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), leases.hold("lance:t", "next"):
            pass
    clock.advance(timedelta(seconds=10))
    with pytest.raises(LeaseLost):
        leases.confirm(held, timedelta(0))
    async with leases.hold("lance:t", "next") as lease:
        assert lease.fence == held.fence + 1


async def test_ghost_does_not_give_back_what_is_no_longer_its_own(database: Database, clock: FrozenClock) -> None:
    """A holder that wakes up late leaves its successor's lease alone."""
    leases = Leases(database, clock, timedelta(seconds=10))
    async with leases.hold("lance:t", "ghost"):
        clock.advance(timedelta(seconds=10))
        successor = leases.hold("lance:t", "successor")
        await successor.__aenter__()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2), leases.hold("lance:t", "third"):
            pass
