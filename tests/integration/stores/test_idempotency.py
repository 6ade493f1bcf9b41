"""Records of idempotent requests on both databases: one attempt at a time, and no attempt that was overtaken."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from core.errors import IdempotencyInProgress, IdempotencyKeyReused, LeaseLost
from stores.idempotency import Claim, IdempotencyRecords, KeptAnswer
from stores.sql.engine import Database

LEASE, DAY = timedelta(seconds=10), timedelta(hours=24)
ANSWER = KeptAnswer(status=201, headers={"content-type": "application/json"}, sealed_body=b"sealed")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def records(database: Database, clock: FrozenClock) -> IdempotencyRecords:
    return IdempotencyRecords(database, clock, lease=LEASE, kept_for=DAY)


async def claim(records: IdempotencyRecords, fingerprint: str = "f") -> Claim:
    claimed = await records.claim("id", fingerprint, None)
    assert isinstance(claimed, Claim)
    return claimed


async def finish(records: IdempotencyRecords, database: Database, claimed: Claim) -> None:
    async with database.transaction() as session:
        await records.finish(session, claimed, ANSWER)


async def test_one_of_many_gets_the_claim(records: IdempotencyRecords) -> None:
    """All others hear that it is in progress."""
    got = await asyncio.gather(*(records.claim("id", "f", None) for _ in range(8)), return_exceptions=True)
    assert [type(claimed) for claimed in got].count(Claim) == 1
    assert sum(isinstance(claimed, IdempotencyInProgress) for claimed in got) == 7


async def test_the_answer_is_replayed_for_a_day(
    records: IdempotencyRecords, database: Database, clock: FrozenClock
) -> None:
    """And after it the key is free for any request."""
    await finish(records, database, await claim(records))
    clock.advance(DAY - timedelta(seconds=1))
    assert await records.claim("id", "f", None) == ANSWER
    with pytest.raises(IdempotencyKeyReused):
        await records.claim("id", "other", None)
    clock.advance(timedelta(seconds=1))
    assert (await claim(records, "other")).fence == 2


async def test_a_silent_attempt_is_overtaken_and_can_do_nothing_more(
    records: IdempotencyRecords, database: Database, clock: FrozenClock
) -> None:
    """A process that was frozen past its lease loses at its commit, with everything that it wrote."""
    frozen = await claim(records)
    clock.advance(LEASE)
    second = await claim(records)
    with pytest.raises(LeaseLost):
        await finish(records, database, frozen)
    await records.renew(frozen)
    await records.release(frozen)
    with pytest.raises(IdempotencyInProgress):
        await claim(records)
    await finish(records, database, second)
    with pytest.raises(LeaseLost):
        await finish(records, database, second)


async def test_an_attempt_that_gives_signs_of_life_keeps_its_claim(
    records: IdempotencyRecords, clock: FrozenClock
) -> None:
    """C18: a handler of thirty seconds is not doubled."""
    claimed = await claim(records)
    for _ in range(6):
        clock.advance(LEASE / 2)
        await records.renew(claimed)
        with pytest.raises(IdempotencyInProgress):
            await claim(records)


async def test_a_released_key_can_be_tried_again_at_once(records: IdempotencyRecords) -> None:
    """By the same request only."""
    await records.release(await claim(records))
    with pytest.raises(IdempotencyKeyReused):
        await records.claim("id", "other", None)
    assert (await claim(records)).fence == 2


async def test_a_later_answer_takes_the_place_of_the_first(records: IdempotencyRecords, database: Database) -> None:
    """What was promised at the commit is replaced by what came of it."""
    claimed = await claim(records)
    await finish(records, database, claimed)
    later = KeptAnswer(status=200, headers={}, sealed_body=b"later")
    await records.amend(claimed, later)
    assert await records.claim("id", "f", None) == later


async def test_the_answer_commits_with_the_change_or_not_at_all(
    records: IdempotencyRecords, database: Database
) -> None:
    """A transaction that fails after `finish` leaves the key claimed, not answered."""
    claimed = await claim(records)
    with pytest.raises(LookupError):
        async with database.transaction() as session:
            await records.finish(session, claimed, ANSWER)
            raise LookupError
    with pytest.raises(IdempotencyInProgress):
        await claim(records)
