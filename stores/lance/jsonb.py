"""How Lance spells a JSON value in binary, as far as comparing numbers and telling texts needs it.

A scalar is four bytes of header, four of kind and length, then its content. Whole numbers take the fewest of 1, 2, 4
or 8 bytes, big end first, behind a tag for their sign; others are 8 bytes of IEEE 754. So within one tag and length the
order of bytes is the order of numbers (for negative floats turned round), and a range of numbers is a few ranges of
bytes: which the store compares an order of magnitude faster than it can read a number out of JSON.
"""

import math
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_SCALAR = bytes.fromhex("20000000")
_LONGEST_FLOAT = sys.float_info.max

TEXT_FROM, TEXT_BELOW = _SCALAR + b"\x10", _SCALAR + b"\x20"
"""A value is a text if it lies from the first to below the second."""
TEXT_HEADER_BYTES = 8

_ZERO = _SCALAR + bytes.fromhex("2000000100")
# Least and greatest number of each form, its tag, how many bytes it takes.
_WHOLE: tuple[tuple[int, int, int, int], ...] = (
    (1, 2**8 - 1, 0x50, 1),
    (2**8, 2**16 - 1, 0x50, 2),
    (2**16, 2**32 - 1, 0x50, 4),
    (2**32, 2**63 - 1, 0x50, 8),
    (-(2**7), -1, 0x40, 1),
    (-(2**15), -(2**7) - 1, 0x40, 2),
    (-(2**31), -(2**15) - 1, 0x40, 4),
    (-(2**63), -(2**31) - 1, 0x40, 8),
)
_FLOAT_TAG = 0x60

Span = tuple[bytes, bytes]
"""The first and the last spelling of a range."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a range."""

    value: int | float | str
    inclusive: bool


def number_spans(lowest: Bound | None, highest: Bound | None) -> list[Span]:
    """Return the spans of all numbers between two bounds that are numbers; exact, whatever the types."""
    return [
        *_whole_spans(_least_whole(lowest), _greatest_whole(highest)),
        *_float_spans(_least_float(lowest), _greatest_float(highest)),
    ]


def _least_whole(bound: Bound | None) -> int:
    if bound is None:
        return -(2**63)
    return math.ceil(_number(bound)) if bound.inclusive else math.floor(_number(bound)) + 1


def _greatest_whole(bound: Bound | None) -> int:
    if bound is None:
        return 2**63 - 1
    return math.floor(_number(bound)) if bound.inclusive else math.ceil(_number(bound)) - 1


def _least_float(bound: Bound | None) -> float:
    if bound is None:
        return -_LONGEST_FLOAT
    nearest = nearest_float(_number(bound))
    # Python compares a whole number with a float exactly, where a conversion would round.
    if nearest < _number(bound) or (nearest == bound.value and not bound.inclusive):
        return math.nextafter(nearest, math.inf)
    return nearest


def _greatest_float(bound: Bound | None) -> float:
    return -_least_float(None if bound is None else Bound(-_number(bound), bound.inclusive))


def nearest_float(number: int | float) -> float:
    """Return a finite float as near to the number as there is."""
    try:
        return float(number)
    except OverflowError:
        return _LONGEST_FLOAT if number > 0 else -_LONGEST_FLOAT


def _number(bound: Bound) -> int | float:
    if isinstance(bound.value, str):
        raise TypeError("A text bounds no numbers.")
    return bound.value


def _whole_spans(least: int, greatest: int) -> Iterator[Span]:
    if least <= 0 <= greatest:
        yield _ZERO, _ZERO
    for lowest, highest, tag, size in _WHOLE:
        first, last = max(least, lowest), min(greatest, highest)
        if first <= last:
            yield _spelled(tag, _whole(first, size)), _spelled(tag, _whole(last, size))


def _whole(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big", signed=number < 0)


def _float_spans(least: float, greatest: float) -> Iterator[Span]:
    # Zero is spelled twice, and belongs to both sides.
    if least <= greatest and greatest >= 0:
        yield _float(least if least > 0 else 0.0), _float(greatest if greatest > 0 else 0.0)
    if least <= greatest and least <= 0:
        yield _float(greatest if greatest < 0 else -0.0), _float(least if least < 0 else -0.0)


def _float(number: float) -> bytes:
    return _spelled(_FLOAT_TAG, struct.pack(">d", number))


def _spelled(tag: int, content: bytes) -> bytes:
    return _SCALAR + struct.pack(">IB", 0x20000000 | (len(content) + 1), tag) + content
