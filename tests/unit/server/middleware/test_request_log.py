"""The trace of a request is the client's where it is well-formed, and a new one otherwise."""

import pytest

from server.middleware.request_log import trace_id_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("given", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01-more"])
def test_a_valid_traceparent_is_taken_over(given: str) -> None:
    """A later version may have more behind its flags."""
    assert trace_id_of([given]) == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_anything_else_begins_a_trace(given: str) -> None:
    """The new one is well-formed, and another each time."""
    made = trace_id_of([given])
    assert made != TRACE
    assert len(made) == 32
    assert int(made, 16)
    assert trace_id_of([given]) != made


def test_two_of_them_are_none() -> None:
    """Which one would count?"""
    assert trace_id_of([f"00-{TRACE}-{SPAN}-01"] * 2) != TRACE
