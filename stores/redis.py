"""Redis wakes: a ring on the bell saves a worker its next poll. Losing every ring loses time and nothing else."""

import asyncio
import contextlib

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from core.log import get_logger, may_fail

log = get_logger()

INGEST = "ingest"
EVENTS = "events"
AGENTS = "agents"
_GROUP = "workers"
_STREAM_LENGTH = 1_000  # rings older than this are of no use to anybody
HEARTBEAT_KEY = "codexos:worker:heartbeat"
HEARTBEAT_SECONDS = 10


def connect(url: str) -> Redis:
    """Return a client that gives up quickly: nobody should wait on a cache for longer than on the truth."""
    return Redis.from_url(url, decode_responses=True, socket_timeout=5, socket_connect_timeout=2)


def connect_impatiently(url: str, *, timeout_seconds: float) -> Redis:
    """Return a client for what stands in the way of every request: one try, and a short one."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
    )


class Bell:
    """A Redis stream read by a consumer group, so each ring wakes one worker rather than all."""

    def __init__(self, redis: Redis, consumer: str, *, wakes: str = INGEST) -> None:
        self._redis = redis
        self._consumer = consumer
        self._wakes = wakes
        self._stream = f"codexos:wake:{wakes}"

    async def ring(self) -> None:
        """Wake a worker, best effort: without it the work is found at the next poll."""
        with may_fail(f"ringing for {self._wakes}"):
            await self._redis.xadd(self._stream, {"wake": "1"}, maxlen=_STREAM_LENGTH, approximate=True)

    async def wait(self, seconds: float) -> bool:
        """Sleep until somebody rings or `seconds` have passed; whether it rang. Never raises for Redis' sake."""
        try:
            return await self._read(seconds)
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._make_group()  # first start, or Redis was wiped
            return True  # rings may have been lost with the group: have a look
        except (RedisError, OSError) as error:
            log.warning("bell.unreachable", error=repr(error))
            await asyncio.sleep(seconds)
            return False

    async def _read(self, seconds: float) -> bool:
        milliseconds = max(1, int(seconds * 1000))
        rings = await self._redis.xreadgroup(
            _GROUP,
            self._consumer,
            {self._stream: ">"},
            count=100,
            block=milliseconds,
            noack=True,
        )
        return bool(rings)

    async def _make_group(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # made by another worker, or gone again: the next wait tells
            await self._redis.xgroup_create(self._stream, _GROUP, id="$", mkstream=True)


async def beat_forever(redis: Redis) -> None:
    """Say that a worker lives, until cancelled; readiness reads it."""
    while True:
        with may_fail("the worker's heartbeat"):
            await redis.set(HEARTBEAT_KEY, "1", ex=HEARTBEAT_SECONDS)
        await asyncio.sleep(HEARTBEAT_SECONDS / 3)
