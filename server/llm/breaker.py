"""Leave an endpoint alone that keeps failing: asking it again and again helps neither side."""

from collections.abc import Callable

from core.errors import ServiceUnavailable

FAILURES_IN_A_ROW = 5
OPEN_SECONDS = 30.0


class Breaker:
    """Open after `FAILURES_IN_A_ROW`; after `OPEN_SECONDS` one caller may try, and decides for all."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None

    def check(self) -> None:
        """Raise ServiceUnavailable while it is open."""
        if self._opened_at is None:
            return
        if self._now() - self._opened_at < OPEN_SECONDS:
            raise ServiceUnavailable("The language model has been failing and is left alone. Try again in a moment.")
        self._opened_at = self._now()  # this caller tries; the others wait for what becomes of it

    def succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW:
            self._opened_at = self._now()
