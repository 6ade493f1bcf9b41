"""When a delivery that failed is tried again, and when an endpoint is given a rest or given up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

# After the first attempt, which is made at once. They add up to a little over three days.
DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
MOST_ATTEMPTS = len(DELAYS) + 1
JITTER = 0.2
# An endpoint that says longer is asked again when ours is over.
_LONGEST_WAIT = timedelta(hours=24)

DISABLED_AFTER = timedelta(days=5)
# So many failures in a row open the circuit: one attempt is let through after each rest.
FAILURES_TO_REST = 5
_FIRST_REST = timedelta(seconds=10)
_LONGEST_REST = timedelta(minutes=5)


def delay_after(attempt: int, *, dice: Callable[[], float], retry_after: timedelta | None = None) -> timedelta | None:
    """Return how long to wait after attempt number `attempt` (from 1) failed; None if it was the last.

    `dice` returns a float in [0, 1). What the endpoint asked for (`retry_after`) is honoured where it is longer.
    """
    if attempt >= MOST_ATTEMPTS:
        return None
    planned = DELAYS[attempt - 1] * (1.0 + JITTER * (2.0 * dice() - 1.0))
    return planned if retry_after is None else max(planned, min(retry_after, _LONGEST_WAIT))


def rest_after(failures: int) -> timedelta | None:
    """Return how long an endpoint rests after so many failures in a row; None while it does not have to."""
    if failures < FAILURES_TO_REST:
        return None
    return min(_FIRST_REST * 2.0 ** min(failures - FAILURES_TO_REST, 10), _LONGEST_REST)


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3): seconds or a date; None if it says neither."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:10]), _LONGEST_WAIT.total_seconds()))
    try:
        moment = parsedate_to_datetime(text)
        return max(timedelta(0), moment - now)
    except (TypeError, ValueError, OverflowError):  # no date, or one without a zone
        return None
