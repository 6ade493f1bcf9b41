"""How often something may happen: GCRA, counted once for all processes in Redis, or in this process alone.

The generic cell rate algorithm (ITU-T I.371, annex A, in its virtual scheduling form): a key remembers the theoretical
arrival time of its next event. An event that comes no earlier than that time less the tolerance is allowed and moves it
on by one interval. So `limit` events may come at once, and then one each `period / limit`: exact, in one number a key.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import ServiceUnavailable
from core.log import get_logger
from stores.redis_script import ScriptLine

log = get_logger()

_MICROSECONDS = 1_000_000
# While Redis is away it is asked again this often, and not by every request.
_PAUSE_MICROSECONDS = 5_000_000
_REMEMBERED_KEYS = 100_000
_PREFIX = "codexos:limit:"
_MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`limit` events in `period_seconds`, all at once if need be."""

    name: str
    limit: int
    period_seconds: int

    @property
    def interval(self) -> int:
        """Microseconds from one event to the next, once the burst is spent; never less than one."""
        return max(1, self.period_seconds * _MICROSECONDS // self.limit)

    @property
    def tolerance(self) -> int:
        """Microseconds that an event may come before its time: room for `limit` of them at once."""
        return self.interval * self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided on one event, and what is left after it."""

    allowed: bool
    limit: Limit
    remaining: int
    reset_after_seconds: float
    retry_after_seconds: float


class RateCounter(Protocol):
    async def take(self, key: str, limit: Limit, cost: int = 1) -> Decision:
        """Count `cost` events if they are allowed; nothing is counted if they are not.

        A cost of 0 only looks, and one below gives events back that were counted.
        """


def decide(arrival: int, now: int, limit: Limit, cost: int) -> tuple[bool, int]:
    """Return whether the events are allowed, and the arrival time after them; all times in microseconds.

    The Lua script below is this function, in the place where all processes meet.
    """
    base = max(arrival, now)
    wanted = max(base + limit.interval * cost, now)
    allowed = wanted - limit.tolerance <= now
    return allowed, wanted if allowed else base


# Told an interval, a tolerance and a cost for each key. Answers with the time, then for each key whether its events are
# allowed and its arrival time; one string each way, because every number of a list costs the client a step of its own.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answers = {string.format('%.0f', now)}
local told = string.gmatch(ARGV[1], '%S+')
for i, key in ipairs(KEYS) do
  local interval, tolerance, cost = tonumber(told()), tonumber(told()), tonumber(told())
  local base = math.max(tonumber(redis.call('GET', key) or 0), now)
  local wanted = math.max(base + interval * cost, now)
  local allowed = wanted - tolerance <= now
  if allowed and wanted > now and cost ~= 0 then
    redis.call('SET', key, string.format('%.0f', wanted), 'PX', math.ceil((wanted - now) / 1000))
  elseif allowed and cost < 0 then
    redis.call('DEL', key)
  end
  answers[2*i] = allowed and '1' or '0'
  answers[2*i+1] = string.format('%.0f', allowed and wanted or base)
end
return table.concat(answers, ' ')
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    limit: Limit
    cost: int
    answer: "asyncio.Future[Decision]"


class Gcra:
    """Counts in Redis, by Redis' own clock, in one call. Raises ServiceUnavailable while Redis does not answer.

    What is asked while another answer is awaited goes out together, as one command: a crowd of requests is not a crowd
    of connections, nobody in it is overtaken, and what a command costs the client is shared.
    """

    def __init__(self, redis: Redis) -> None:
        self._line = ScriptLine(redis, _SCRIPT)
        self._asked: list[_Asked] = []
        self._sending: asyncio.Task[None] | None = None

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Decision:
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(f"{_PREFIX}{limit.name}:{key}", limit, cost, answer))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        decision: Decision = await answer
        return decision

    async def _send(self) -> None:
        while self._asked:
            batch, self._asked = self._asked[:_MOST_AT_ONCE], self._asked[_MOST_AT_ONCE:]
            try:
                now, *answers = await self._run(batch)
            except (RedisError, OSError, TimeoutError) as error:
                _refuse(batch, error)
                continue
            for asked, allowed, arrival in zip(batch, answers[::2], answers[1::2], strict=True):
                if not asked.answer.done():  # whoever asked may be gone
                    asked.answer.set_result(_decision(bool(allowed), arrival, now, asked.limit, asked.cost))
            await asyncio.sleep(0)  # who has just been answered may ask again, and goes along with those who waited

    async def _run(self, batch: Sequence[_Asked]) -> list[int]:
        numbers = (f"{asked.limit.interval} {asked.limit.tolerance} {asked.cost}" for asked in batch)
        said = await self._line.call([asked.name for asked in batch], " ".join(numbers))
        return [int(number) for number in said.split()]


def _refuse(batch: Sequence[_Asked], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            refusal = ServiceUnavailable("The counter of requests is not answering. Try again in a moment.")
            refusal.__cause__ = error
            asked.answer.set_exception(refusal)


class LocalGcra:
    """Counts in this process, by the clock it is given (microseconds). Forgets the keys unused for longest."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._arrivals: OrderedDict[str, int] = OrderedDict()

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Decision:
        name, now = f"{limit.name}:{key}", self._now()
        allowed, arrival = decide(self._arrivals.get(name, 0), now, limit, cost)
        if allowed and cost:
            self._arrivals[name] = arrival
            self._arrivals.move_to_end(name)
            if len(self._arrivals) > _REMEMBERED_KEYS:
                self._arrivals.popitem(last=False)
        return _decision(allowed, arrival, now, limit, cost)


class SoftCounter:
    """Counts in `shared`, and in `local` while that does not answer: each process then allows the limit by itself."""

    def __init__(self, shared: RateCounter, local: RateCounter, now: Callable[[], int]) -> None:
        self._shared = shared
        self._local = local
        self._now = now
        self._away_until = 0

    async def take(self, key: str, limit: Limit, cost: int = 1) -> Decision:
        if self._now() >= self._away_until:
            try:
                return await self._shared.take(key, limit, cost)
            except ServiceUnavailable as error:
                self._away_until = self._now() + _PAUSE_MICROSECONDS
                log.warning("limits.counted_locally", error=repr(error.__cause__))
        return await self._local.take(key, limit, cost)


def microseconds() -> int:
    """Return the time of a clock that never goes back."""
    return time.monotonic_ns() // 1_000


def _decision(allowed: bool, arrival: int, now: int, limit: Limit, cost: int) -> Decision:
    wait = 0 if allowed else arrival + limit.interval * cost - limit.tolerance - now
    return Decision(
        allowed=allowed,
        limit=limit,
        remaining=max(0, (now + limit.tolerance - arrival) // limit.interval),
        reset_after_seconds=max(0, arrival - now) / _MICROSECONDS,
        retry_after_seconds=wait / _MICROSECONDS,
    )
