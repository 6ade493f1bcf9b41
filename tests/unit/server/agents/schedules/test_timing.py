"""When schedules are due, while clocks go forward and back."""

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.agents.schedules.timing import fault_of_cron, fault_of_zone, next_time, times

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def _of_day(cron: str, zone: str, day: datetime) -> list[str]:
    """Return the moments of one local day, in UTC."""
    begin = day.replace(tzinfo=ZoneInfo(zone)) - timedelta(seconds=1)
    end = (day + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = takewhile(lambda each: each < end, times(cron, zone, begin.astimezone(UTC)))
    return [each.strftime("%H:%M") for each in found]


@pytest.mark.parametrize(
    ("cron", "zone", "day", "moments"),
    [
        ("30 2 * * *", BERLIN, datetime(2026, 3, 28, tzinfo=UTC), ["01:30"]),
        (
            "30 2 * * *",
            BERLIN,
            datetime(2026, 3, 29, tzinfo=UTC),
            ["01:00"],
        ),  # there is no 2:30: as soon as clocks go on
        ("30 2 * * *", BERLIN, datetime(2026, 10, 25, tzinfo=UTC), ["00:30"]),  # there are two: the first
        ("0 3 * * *", BERLIN, datetime(2026, 3, 29, tzinfo=UTC), ["01:00"]),
        ("0,30 2,3 * * *", BERLIN, datetime(2026, 3, 29, tzinfo=UTC), ["01:00", "01:30"]),
        ("30 1 * * *", NEW_YORK, datetime(2026, 11, 1, tzinfo=UTC), ["05:30"]),
        ("15 2 * * *", LORD_HOWE, datetime(2026, 10, 4, tzinfo=UTC), ["15:30"]),  # half an hour is left out
    ],
)
def test_fixed_time_comes_once_a_day(cron: str, zone: str, day: datetime, moments: list[str]) -> None:
    """None is lost where clocks leave it out, none is doubled where they show it twice."""
    assert _of_day(cron, zone, day) == moments


@pytest.mark.parametrize(
    ("day", "hours"), [(datetime(2026, 3, 29, tzinfo=UTC), 23), (datetime(2026, 10, 25, tzinfo=UTC), 25)]
)
def test_every_so_often_comes_every_so_often(day: datetime, hours: int) -> None:
    """As many quarters of an hour as the day has."""
    assert len(_of_day("*/15 * * * *", BERLIN, day)) == hours * 4
    assert len(_of_day("7 * * * *", BERLIN, day)) == hours


_CRONS = ["* * * * *", "30 2 * * *", "*/20 1-3 * * *", "0 2,3 * * SUN", "5 * * * *", "59 23 L * *", "15 1 * 3,10 *"]
_ZONES = [BERLIN, NEW_YORK, LORD_HOWE, "UTC", "Asia/Kathmandu", "Africa/Casablanca"]


@given(
    st.sampled_from(_CRONS),
    st.sampled_from(_ZONES),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is given beside
)
def test_asked_anew_each_time_it_is_the_same(cron: str, zone: str, after: datetime) -> None:
    """Whoever keeps no iterator, but the last moment only, neither goes back nor leaves one out."""
    at_once = list(islice(times(cron, zone, after), 8))
    one_by_one, last = [], after
    for _ in at_once:
        found = next_time(cron, zone, last)
        assert found is not None
        assert found > last
        one_by_one.append(found)
        last = found
    assert one_by_one == at_once


def test_begun_in_the_hour_that_comes_twice() -> None:
    """A schedule made at 2:10 when clocks show it for the second time is due tomorrow, not half an hour ago."""
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert next_time("30 2 * * *", BERLIN, second) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["", "* * * *", "* * * * * *", "60 * * * *", "@daily", "٣ * * * *", "0 0 31 2 *"])
def test_what_is_no_cron_is_told(cron: str) -> None:
    """Five fields, of the numbers that there are."""
    assert fault_of_cron(cron) is not None


def test_never_is_no_time() -> None:
    """The 30th of February on a Monday passes for an expression and never comes."""
    assert fault_of_cron("0 0 * * MON") is None
    assert fault_of_zone("Europe/Atlantis") is not None
    assert fault_of_zone("../../etc/passwd") is not None
