"""The bell wakes when it can and costs only time when it cannot."""

from redis.asyncio import Redis

from stores.redis import Bell, connect


async def fresh(redis_url: str) -> Redis:
    redis = connect(redis_url)
    await redis.flushdb()
    return redis


async def test_ring_wakes_a_waiting_worker(redis_url: str) -> None:
    """After its first look a worker hears each ring, once."""
    redis = await fresh(redis_url)
    bell = Bell(redis, "w")
    assert await bell.wait(0.01)  # makes the group, and asks for a look
    assert not await bell.wait(0.01)
    await bell.ring()
    assert await bell.wait(1)
    assert not await bell.wait(0.01)
    await redis.aclose()


async def test_wiped_redis_asks_for_a_look(redis_url: str) -> None:
    """When the group is gone, rings may be too: the worker is told to look, then waits as before."""
    redis = await fresh(redis_url)
    bell = Bell(redis, "w")
    await bell.wait(0.01)
    await redis.flushdb()
    assert await bell.wait(0.01)
    assert not await bell.wait(0.01)
    await redis.aclose()


async def test_absent_redis_only_costs_the_wait() -> None:
    """Neither ringing nor waiting raises when nobody listens on the port."""
    redis = connect("redis://127.0.0.1:1/0")
    bell = Bell(redis, "w")
    await bell.ring()
    assert not await bell.wait(0.01)
    await redis.aclose()
