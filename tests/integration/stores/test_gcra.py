"""The rate counters against their formula: embedded Redis, a real one, and the twin in this process."""

import asyncio
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from core.errors import ServiceUnavailable
from stores.gcra import Decision, Gcra, Limit, LocalGcra, RateCounter, SoftCounter, microseconds
from stores.redis import connect_impatiently

HOUR = 3_600
SLOW = Limit(name="slow", limit=50, period_seconds=100 * HOUR)  # nothing drips in while a test runs


class Hand:
    """A clock that is moved by hand, in microseconds."""

    def __init__(self) -> None:
        self.at = 1_000_000_000

    def __call__(self) -> int:
        return self.at


@pytest.fixture(params=["shared", "local"])
def counter(request: pytest.FixtureRequest, redis_url: str) -> RateCounter:
    return LocalGcra(microseconds) if request.param == "local" else Gcra(client_of(redis_url))


def client_of(redis_url: str) -> Redis:
    return connect_impatiently(redis_url, timeout_seconds=2)


async def test_a_burst_is_allowed_and_not_one_more(counter: RateCounter) -> None:
    """What remains counts down to nothing, then the time to wait is told."""
    key = uuid4().hex
    decisions = [await counter.take(key, SLOW) for _ in range(SLOW.limit + 5)]
    assert [decision.remaining for decision in decisions] == [*range(SLOW.limit - 1, -1, -1), *[0] * 5]
    assert [decision.allowed for decision in decisions] == [True] * SLOW.limit + [False] * 5
    interval = 100 * HOUR / SLOW.limit
    assert decisions[-1].retry_after_seconds == pytest.approx(interval, abs=5)
    assert decisions[-1].reset_after_seconds == pytest.approx(100 * HOUR, abs=5)


async def test_all_at_once_are_counted_exactly(counter: RateCounter) -> None:
    """Two hundred tries at the same time: as many are allowed as theory says."""
    key = uuid4().hex
    decisions = await asyncio.gather(*(counter.take(key, SLOW) for _ in range(200)))
    assert sum(decision.allowed for decision in decisions) == SLOW.limit


async def test_looking_counts_nothing(counter: RateCounter) -> None:
    """A cost of nothing tells what is left."""
    key = uuid4().hex
    for _ in range(3):
        assert (await counter.take(key, SLOW, 0)).remaining == SLOW.limit
    await counter.take(key, SLOW)
    assert (await counter.take(key, SLOW, 0)).remaining == SLOW.limit - 1


async def test_what_is_given_back_can_be_taken_again(counter: RateCounter) -> None:
    """Even after the last one; and whoever gives back more than was counted has no more than the limit."""
    key = uuid4().hex
    for _ in range(SLOW.limit):
        await counter.take(key, SLOW)
    assert (await counter.take(key, SLOW, -1)).remaining == 1
    assert [(await counter.take(key, SLOW)).allowed for _ in range(2)] == [True, False]
    assert (await counter.take(key, SLOW, -2 * SLOW.limit)).remaining == SLOW.limit
    assert (await counter.take(key, SLOW)).remaining == SLOW.limit - 1


async def test_keys_and_limits_are_counted_apart(counter: RateCounter) -> None:
    """The same key under another limit is another count."""
    key = uuid4().hex
    other = Limit(name="other", limit=2, period_seconds=HOUR)
    await counter.take(key, SLOW)
    assert (await counter.take(key, other)).remaining == 1
    assert (await counter.take(uuid4().hex, SLOW)).remaining == SLOW.limit - 1


async def test_what_was_used_drips_back(counter: RateCounter) -> None:
    """A limit of a thousand a second is all there again after a moment."""
    key = uuid4().hex
    quick = Limit(name="quick", limit=1_000, period_seconds=1)
    first = [await counter.take(key, quick) for _ in range(20)][-1]
    async with asyncio.timeout(10):
        while (await counter.take(key, quick, 0)).remaining < 1_000:
            await asyncio.sleep(0.005)
    assert first.remaining < 1_000


@given(
    limit=st.integers(1, 20),
    period=st.integers(1, 100),
    steps=st.lists(st.tuples(st.integers(0, 30_000_000), st.integers(1, 3)), max_size=60),
)
async def test_never_more_than_theory_allows(limit: int, period: int, steps: list[tuple[int, int]]) -> None:
    """In any stretch of time: the burst, and what drips in; and never less than that while somebody asks."""
    clock, bound = Hand(), Limit(name="any", limit=limit, period_seconds=period)
    counter = LocalGcra(clock)
    level = float(limit)  # a bucket that fills at a steady rate, the other description of the same law
    for pause, cost in steps:
        clock.at += pause
        level = min(float(limit), level + pause / bound.interval)
        decision: Decision = await counter.take("k", bound, cost)
        if abs(level - cost) > 1e-6:  # on the edge itself the two differ by less than a microsecond
            assert decision.allowed == (level > cost)
        if decision.allowed:
            level -= cost


async def test_two_clients_of_one_redis_share_the_count(redis_url: str) -> None:
    """Two processes are two clients: together they allow what one would."""
    key = uuid4().hex
    counters = [Gcra(client_of(redis_url)) for _ in range(2)]
    decisions = await asyncio.gather(*(counters[number % 2].take(key, SLOW) for number in range(300)))
    assert sum(decision.allowed for decision in decisions) == SLOW.limit


async def test_a_forgotten_script_is_sent_again(redis_url: str) -> None:
    """Redis was restarted, or its scripts flushed."""
    redis = client_of(redis_url)
    counter, key = Gcra(redis), uuid4().hex
    await counter.take(key, SLOW)
    await redis.script_flush()
    assert (await counter.take(key, SLOW)).remaining == SLOW.limit - 2


async def test_counting_goes_on_without_redis(tmp_path: object) -> None:
    """In this process alone, and Redis is not asked by every request."""
    clock = Hand()
    away = Gcra(connect_impatiently(f"unix://{tmp_path}/nobody.sock", timeout_seconds=0.1))
    with pytest.raises(ServiceUnavailable):
        await away.take("k", SLOW)
    asked = 0

    class Counted:
        async def take(self, key: str, limit: Limit, cost: int = 1) -> Decision:
            nonlocal asked
            asked += 1
            return await away.take(key, limit, cost)

    counter = SoftCounter(Counted(), LocalGcra(clock), clock)
    decisions = [await counter.take("k", SLOW) for _ in range(60)]
    assert (sum(decision.allowed for decision in decisions), asked) == (50, 1)
    clock.at += 5_000_000
    await counter.take("k", SLOW)
    assert asked == 2
