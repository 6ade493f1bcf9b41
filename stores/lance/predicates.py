"""What a search may be narrowed to, as values; and the one place where they become the store's language.

Every predicate is true or false of a chunk, never unknown: what `Not` turns round is exactly the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stores.lance.jsonb import TEXT_BELOW, TEXT_FROM, TEXT_HEADER_BYTES, Bound, nearest_float, number_spans

# Columns a predicate may name; terms and the user's own metadata stand for everything else.
Column = Literal["document_id", "revision", "source", "source_type", "collection", "page"]


@dataclass(frozen=True, slots=True)
class Own:
    """A name at the top of the user's metadata."""

    key: str


Place = Column | Own


@dataclass(frozen=True, slots=True)
class HasTerm:
    """The chunk's document has this term (see terms.py)."""

    term: str


@dataclass(frozen=True, slots=True)
class HasAnyTerm:
    """The chunk's document has one of these terms at least."""

    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The column holds one of these values; `None` among them means that it may be empty."""

    column: Column
    values: tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class AtMost:
    """The column's number is this or less."""

    column: Column
    limit: int


@dataclass(frozen=True, slots=True)
class InRange:
    """There is a value between two bounds, of their type: texts by code point, numbers by what they are worth.

    At least one bound is there, and two are of one type. A column is of the bounds' type; what is not, the caller
    knows beforehand.
    """

    place: Place
    lowest: Bound | None
    highest: Bound | None


@dataclass(frozen=True, slots=True)
class HoldsText:
    """There is a text with this one in it."""

    place: Place
    part: str


@dataclass(frozen=True, slots=True)
class Present:
    """There is a value; `null` in the user's metadata is one."""

    place: Place


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


Predicate = HasTerm | HasAnyTerm | OneOf | AtMost | InRange | HoldsText | Present | AllOf | AnyOf | Not

_NULLABLE: frozenset[Column] = frozenset({"page"})


def to_sql(predicate: Predicate) -> str:
    """Return the predicate in DataFusion's SQL, every value a literal of its own type."""
    match predicate:
        case HasTerm(term):
            return f"array_has_any(terms, [{literal(term)}])"
        case HasAnyTerm(terms):
            return f"array_has_any(terms, [{', '.join(map(literal, terms))}])" if terms else "false"
        case OneOf(column, values):
            return _one_of(column, values)
        case AtMost(column, limit):
            return f"{column} <= {literal(limit)}"
        case InRange(place, lowest, highest):
            return _in_own_range(place, lowest, highest) if isinstance(place, Own) else _in_range(predicate)
        case HoldsText(place, part):
            return _own_text_holds(place, part) if isinstance(place, Own) else f"contains({place}, {literal(part)})"
        case Present(place):
            return f"{_own(place) if isinstance(place, Own) else place} IS NOT NULL"
        case AllOf(parts):
            return _joined([to_sql(part) for part in parts], "AND") if parts else "true"
        case AnyOf(parts):
            return _joined([to_sql(part) for part in parts], "OR") if parts else "false"
        case Not(part):
            return f"(NOT {to_sql(part)})"


def literal(value: str | int) -> str:
    """Return a value as an SQL literal. The only door through which anything a user wrote reaches a query.

    In DataFusion a string has one special character, its quote; a backslash is a backslash.
    """
    if isinstance(value, str):
        return "'" + value.encode("utf-8", "replace").decode().replace("'", "''") + "'"
    return str(int(value))


def _one_of(column: Column, values: Sequence[str | int | None]) -> str:
    present = sorted({literal(value) for value in values if value is not None})
    choices = []
    if present:
        among = f"{column} IN ({', '.join(present)})"
        choices.append(f"COALESCE({among}, false)" if column in _NULLABLE else among)
    if None in values:
        choices.append(f"{column} IS NULL")
    return f"({' OR '.join(choices)})" if choices else "false"


def _in_range(wanted: InRange) -> str:
    bounds = [(">", wanted.lowest), ("<", wanted.highest)]
    sides = [
        f"{wanted.place} {sign}{'=' if bound.inclusive else ''} {_bound_literal(bound)}"
        for sign, bound in bounds
        if bound is not None
    ]
    return f"COALESCE({' AND '.join(sides)}, false)"


def _bound_literal(bound: Bound) -> str:
    if isinstance(bound.value, str):
        return literal(bound.value)
    # A column's numbers have 32 bits and are doubles exactly, so rounding the bound never moves it past one of them.
    return f"CAST('{nearest_float(bound.value)!r}' AS DOUBLE)"


def _in_own_range(place: Own, lowest: Bound | None, highest: Bound | None) -> str:
    if any(bound is not None and isinstance(bound.value, str) for bound in (lowest, highest)):
        return _own_text_between(place, lowest, highest)
    spans = [
        f"{_own(place)} BETWEEN {_bytes(first)} AND {_bytes(last)}" for first, last in number_spans(lowest, highest)
    ]
    return f"COALESCE({_joined(spans, 'OR')}, false)" if spans else "false"


def _own_text_between(place: Own, lowest: Bound | None, highest: Bound | None) -> str:
    # Hexadecimal digits are in the order of the bytes they stand for, and those in the order of code points.
    sides = [
        f"{_own_text_in_hex(place)} {sign}{'=' if bound.inclusive else ''} '{_utf8(str(bound.value)).hex()}'"
        for sign, bound in ((">", lowest), ("<", highest))
        if bound is not None
    ]
    return f"COALESCE({' AND '.join([_own_is_text(place), *sides])}, false)"


def _own_text_holds(place: Own, part: str) -> str:
    # TRY: the store may work this out for every value before it looks whether it is a text.
    text = f"TRY_CAST(decode({_own_text_in_hex(place)}, 'hex') AS VARCHAR)"
    return f"COALESCE({_own_is_text(place)} AND contains({text}, {literal(part)}), false)"


def _own_is_text(place: Own) -> str:
    return f"{_own(place)} >= {_bytes(TEXT_FROM)} AND {_own(place)} < {_bytes(TEXT_BELOW)}"


def _own_text_in_hex(place: Own) -> str:
    # The readable functions of JSON fail on the first value of another type, for the whole query.
    return f"right(encode({_own(place)}, 'hex'), -{2 * TEXT_HEADER_BYTES})"


def _own(place: Own) -> str:
    return f"json_get(metadata, {literal(place.key)})"


def _bytes(value: bytes) -> str:
    return f"X'{value.hex()}'"


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _joined(parts: Sequence[str], operator: str) -> str:
    # As a balanced tree: a long chain is as deep as it is long to a parser, and exhausts its stack.
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_joined(parts[:half], operator)} {operator} {_joined(parts[half:], operator)})"
