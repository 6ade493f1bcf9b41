"""An endpoint that keeps failing is left alone, and tried again by one."""

import pytest

from core.errors import ServiceUnavailable
from server.llm.breaker import FAILURES_IN_A_ROW, OPEN_SECONDS, Breaker


def test_it_opens_after_failures_in_a_row_and_lets_one_try_later() -> None:
    """A success in between counts from the beginning; one that tries and fails closes it for the others again."""
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.failed()
    breaker.succeeded()
    for _ in range(FAILURES_IN_A_ROW):
        breaker.check()
        breaker.failed()
    with pytest.raises(ServiceUnavailable):
        breaker.check()
    now = OPEN_SECONDS
    breaker.check()
    with pytest.raises(ServiceUnavailable):  # the one who tries has not come back yet
        breaker.check()
    breaker.failed()
    with pytest.raises(ServiceUnavailable):
        breaker.check()
    now = 2 * OPEN_SECONDS
    breaker.check()
    breaker.succeeded()
    breaker.check()
