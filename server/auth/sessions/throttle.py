"""Limits on guessing, as sessions ask for them."""

from typing import Protocol


class Throttle(Protocol):
    async def take(self, subject: str) -> None:
        """Count one try. Raises RateLimitExceeded after too many, ServiceUnavailable when it cannot count."""

    async def give_back(self, subject: str) -> None:
        """Uncount a try that succeeded."""
