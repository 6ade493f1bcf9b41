"""What a search may be narrowed to, as values; and the one place where they become the store's language."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Columns a predicate may name; terms stand for everything else.
Column = Literal["document_id", "revision", "source", "source_type", "collection", "page"]


@dataclass(frozen=True, slots=True)
class HasTerm:
    """The chunk's document has this term (see terms.py)."""

    term: str


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
class AllOf:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Predicate"


Predicate = HasTerm | OneOf | AtMost | AllOf | AnyOf | Not


def to_sql(predicate: Predicate) -> str:
    """Return the predicate in DataFusion's SQL, every value a literal of its own type."""
    match predicate:
        case HasTerm(term):
            return f"array_has_any(terms, [{literal(term)}])"
        case OneOf(column, values):
            return _one_of(column, values)
        case AtMost(column, limit):
            return f"{column} <= {literal(limit)}"
        case AllOf(parts):
            return _joined(parts, " AND ", empty="true")
        case AnyOf(parts):
            return _joined(parts, " OR ", empty="false")
        case Not(part):
            return f"(NOT {to_sql(part)})"


def literal(value: str | int) -> str:
    """Return a value as an SQL literal. The only door through which anything a user wrote reaches a query.

    In DataFusion a string has one special character, its quote; a backslash is a backslash.
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(int(value))


def _one_of(column: Column, values: Sequence[str | int | None]) -> str:
    present = sorted({literal(value) for value in values if value is not None})
    choices = [f"{column} IN ({', '.join(present)})"] if present else []
    if None in values:
        choices.append(f"{column} IS NULL")
    return f"({' OR '.join(choices)})" if choices else "false"


def _joined(parts: Sequence[Predicate], operator: str, *, empty: str) -> str:
    return f"({operator.join(map(to_sql, parts))})" if parts else empty
