"""When a delivery that failed is tried again, and when an endpoint rests."""

from datetime import UTC, datetime, timedelta

import pytest

from server.webhooks.schedule import DELAYS, MOST_ATTEMPTS, delay_after, rest_after, retry_after

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_delays_are_the_published_ones() -> None:
    """5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then no more."""
    planned = [delay_after(attempt, dice=lambda: 0.5) for attempt in range(1, MOST_ATTEMPTS + 1)]
    hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert planned == [*(timedelta(hours=each) for each in hours), None]


@pytest.mark.parametrize(("dice", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999999, 1.2)])
def test_the_jitter_is_a_fifth_at_most(dice: float, factor: float) -> None:
    """Endpoints that failed together are not tried again together."""
    delay = delay_after(3, dice=lambda: dice)
    assert delay is not None
    assert delay / DELAYS[2] == pytest.approx(factor, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 5.0), (timedelta(seconds=1), 5.0), (timedelta(minutes=1), 60.0), (timedelta(days=9), 86_400.0)],
)
def test_retry_after_only_moves_back_and_a_day_at_most(asked: timedelta | None, seconds: float) -> None:
    """An endpoint cannot be made to be tried sooner, nor never."""
    delay = delay_after(1, dice=lambda: 0.5, retry_after=asked)
    assert delay == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("99999999999999999999", 86_400.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("١٢", None),
    ],
)
def test_retry_after_is_read_as_the_rfc_has_it(header: str | None, seconds: float | None) -> None:
    """Seconds or a date; anything else counts as nothing said."""
    read = retry_after(header, NOW)
    assert (None if read is None else read.total_seconds()) == seconds


def test_rests_double_up_to_five_minutes() -> None:
    """From the fifth failure in a row on."""
    assert [rest_after(failures) for failures in (1, 4)] == [None, None]
    rests = [rest_after(failures) for failures in range(5, 12)]
    assert [rest.total_seconds() for rest in rests if rest] == [10, 20, 40, 80, 160, 300, 300]
    assert rest_after(10_000) == timedelta(minutes=5)
