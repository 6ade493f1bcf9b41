"""When a schedule is due: five fields of cron, read in a zone whose clocks may go forward and back."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

MOST_CHARACTERS = 200
_FIELDS = 5


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def fault_of_zone(name: str) -> str | None:
    return None if name in _zones() else "There is no such time zone: name one as Europe/Athens, or UTC"


def fault_of_cron(text: str) -> str | None:
    """Return what is wrong with an expression in one sentence, or None."""
    if len(text) > MOST_CHARACTERS or not text.isascii() or len(text.split()) != _FIELDS:
        return "Write cron as five fields: minute, hour, day of the month, month, day of the week"
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"This is no cron expression: {error}"
    return None


def times(cron: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the moments that are due after `after`, in order and each once, in UTC.

    What is set for a time that clocks leave out comes as soon as they go on; what is set for a time that they show
    twice comes the first time. What comes every so often comes so often, whatever the clocks show.
    """
    last = after
    for due in CronSim(cron, after.astimezone(ZoneInfo(zone))):
        moment = due.astimezone(UTC)
        # Begun while clocks show an hour for the second time, the search also finds what was due in the first.
        if moment > last:
            last = moment
            yield moment


def next_time(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return when it is due next; None where that is never."""
    return next(times(cron, zone, after), None)
