"""Limits on guessing. They fail closed: what cannot be counted is not allowed."""

import math

from core.errors import RateLimitExceeded
from stores.gcra import Limit, RateCounter


class Throttle:
    """Counts tries by subject, such as an account or an address. `counter` should raise while it cannot count."""

    def __init__(self, counter: RateCounter, limit: Limit) -> None:
        self._counter = counter
        self._limit = limit

    async def take(self, subject: str) -> None:
        """Count one try. Raises RateLimitExceeded when there were too many, ServiceUnavailable if it cannot tell."""
        decision = await self._counter.take(subject, self._limit)
        if not decision.allowed:
            raise RateLimitExceeded(
                "Too many tries. Wait before the next one.",
                retry_after_seconds=math.ceil(decision.retry_after_seconds),
            )
