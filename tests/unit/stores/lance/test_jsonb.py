"""Ranges of numbers become ranges of bytes, exactly. That Lance spells them so is shown on a real table."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from stores.lance.jsonb import Bound, number_spans

whole = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)
floats = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-300, 300).map(float)
bounds = st.none() | st.builds(Bound, whole | floats | st.integers(), st.booleans())


def spelled(number: int | float) -> bytes:
    """Spell a number as the store does: the shortest of four lengths, the sign in the tag."""
    if isinstance(number, float):
        content = b"\x60" + struct.pack(">d", number)
    elif number == 0:
        content = b"\x00"
    else:
        sizes = (1, 2, 4, 8)
        size = next(n for n in sizes if (-(2 ** (8 * n - 1)) <= number if number < 0 else number < 2 ** (8 * n)))
        content = (b"\x40" if number < 0 else b"\x50") + number.to_bytes(size, "big", signed=number < 0)
    return bytes.fromhex("20000000") + struct.pack(">I", 0x20000000 | len(content)) + content


def within(number: int | float, lowest: Bound | None, highest: Bound | None) -> bool:
    above = lowest is None or number > lowest.value or (lowest.inclusive and number == lowest.value)  # type: ignore[operator]
    below = highest is None or number < highest.value or (highest.inclusive and number == highest.value)  # type: ignore[operator]
    return above and below


@given(whole | floats, bounds, bounds)
def test_a_number_is_in_the_spans_exactly_if_it_is_in_the_range(
    number: int | float, lowest: Bound | None, highest: Bound | None
) -> None:
    """Also at the ends, beyond 2**53, and at both zeros."""
    found = [span for span in number_spans(lowest, highest) if span[0] <= spelled(number) <= span[1]]
    assert len(found) == within(number, lowest, highest)


@given(whole | floats, st.sampled_from([0, 1, -1]), st.booleans())
def test_the_neighbours_of_a_bound(bound: int | float, step: int, inclusive: bool) -> None:
    """One off is off: nothing is rounded into the range or out of it."""
    number = bound + step if isinstance(bound, int) else bound
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        return
    spans = number_spans(Bound(bound, inclusive), None)
    assert any(first <= spelled(number) <= last for first, last in spans) == within(
        number, Bound(bound, inclusive), None
    )
