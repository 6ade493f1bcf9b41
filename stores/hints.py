"""Who follows an execution hears over Redis that there is news. Losing every word loses time and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Collection

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.log import get_logger, may_fail

log = get_logger()

_CHANNEL = "codexos:executions:told"
_LISTEN_SECONDS = 2.0
_PAUSE_SECONDS = 1.0


class Hints:
    """Every process that listens hears every word: unlike a bell, which wakes one."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def tell(self, execution_ids: Collection[str]) -> None:
        """Say that these executions have told something, after the commit; best effort."""
        if execution_ids:
            with may_fail("telling followers of executions"):
                await self._redis.publish(_CHANNEL, ",".join(execution_ids))

    async def heard(self) -> AsyncIterator[list[str]]:
        """Yield the ids of executions that have news, until cancelled. Never raises for Redis' sake."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(_CHANNEL)
                    while True:
                        message = await channel.get_message(timeout=_LISTEN_SECONDS)
                        if message is not None and isinstance(message["data"], str):
                            yield message["data"].split(",")
            except (RedisError, OSError) as error:
                log.warning("hints.unreachable", error=repr(error))
                await asyncio.sleep(_PAUSE_SECONDS)
