"""Limits on guessing: failures count. They fail closed: what cannot be counted is not allowed."""

import math

from core.errors import RateLimitExceeded
from core.log import may_fail
from stores.gcra import Limit, RateCounter


class Throttle:
    """Counts failed tries by subject, such as an account. `counter` should raise while it cannot count."""

    def __init__(self, counter: RateCounter, limit: Limit) -> None:
        self._counter = counter
        self._limit = limit

    async def take(self, subject: str) -> None:
        """Count one try. Raises RateLimitExceeded when there were too many, ServiceUnavailable if it cannot tell.

        It is counted before it is known to fail, so that a thousand at once are not a thousand guesses.
        """
        decision = await self._counter.take(subject, self._limit)
        if not decision.allowed:
            raise RateLimitExceeded(
                "Too many tries. Wait before the next one.",
                retry_after_seconds=math.ceil(decision.retry_after_seconds),
            )

    async def give_back(self, subject: str) -> None:
        """Uncount a try that succeeded: it was no guess."""
        with may_fail("giving back a try that succeeded"):
            await self._counter.take(subject, self._limit, cost=-1)
