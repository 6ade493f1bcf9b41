"""The judge of histories: it passes what one order explains, and nothing else."""

import pytest

from tests.integration.server.histories import Outcome, Seen, faults


def tried(begun: float, ended: float, outcome: Outcome, answer: str | None = None) -> Seen:
    return Seen(begun=begun, ended=ended, outcome=outcome, answer=answer)


EXECUTED = tried(0, 2, Outcome.EXECUTED, "a")


@pytest.mark.parametrize(
    "other",
    [
        tried(1, 3, Outcome.REPLAYED, "a"),
        tried(3, 4, Outcome.REPLAYED, "a"),
        tried(1, 1.5, Outcome.IN_PROGRESS),
        tried(1, 5, Outcome.UNKNOWN),
    ],
)
def test_explained_histories_pass(other: Seen) -> None:
    """A replay during or after the execution, and "in progress" during it."""
    assert faults([EXECUTED, other]) == []


@pytest.mark.parametrize(
    "other",
    [
        tried(1, 3, Outcome.EXECUTED, "a"),
        tried(1, 3, Outcome.REPLAYED, "b"),
        tried(3, 4, Outcome.EXECUTED, "a"),
        tried(3, 4, Outcome.IN_PROGRESS),
        tried(-2, -1, Outcome.REPLAYED, "a"),
        tried(-2, -1, Outcome.IN_PROGRESS),
    ],
)
def test_unexplained_histories_are_found(other: Seen) -> None:
    """Two executions, two answers, work that nobody did, progress after the end."""
    assert faults([EXECUTED, other]) != []
