"""What clients saw of one idempotent request, and whether any order of events explains it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    EXECUTED = "executed"
    REPLAYED = "replayed"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"  # the connection broke: it may have happened or not


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One try: when it was begun and ended (seconds), and how."""

    begun: float
    ended: float
    outcome: Outcome
    answer: str | None = None


def faults(history: Iterable[Seen]) -> list[str]:
    """Return why no linear order explains the tries of one key; empty if one does.

    The object is a register that is written once. A try takes effect at one moment between its beginning and its
    end (Herlihy and Wing, 1990): the first to take effect executes, every later one replays, and one may hear "in
    progress" only while another that could be executing has not been answered.
    """
    tries = sorted(history, key=lambda seen: seen.begun)
    answered = [seen for seen in tries if seen.outcome in (Outcome.EXECUTED, Outcome.REPLAYED)]
    found = []
    if sum(seen.outcome is Outcome.EXECUTED for seen in tries) > 1:
        found.append("two tries say that they executed")
    if len({seen.answer for seen in answered}) > 1:
        found.append("two answers differ")
    for late in tries:
        before = [seen for seen in answered if seen.ended < late.begun]
        if before and late.outcome in (Outcome.EXECUTED, Outcome.IN_PROGRESS):
            found.append(f"{late.outcome} although it had been answered")
        others = [seen for seen in tries if seen is not late and seen.begun < late.ended]
        could_execute = [seen for seen in others if seen.outcome in (Outcome.EXECUTED, Outcome.UNKNOWN)]
        if late.outcome is Outcome.REPLAYED and not could_execute:
            found.append("a replay of what nobody executed")
        if late.outcome is Outcome.IN_PROGRESS and not could_execute:
            found.append("in progress although nobody was at work")
    return found
