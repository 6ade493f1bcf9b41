"""Compile the filters of a query. Whatever is wrong with them is told with its place, all of it at once."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

from core.errors import ValidationFailed
from stores.lance.predicates import AllOf, AnyOf, Column, HasTerm, Not, OneOf, Predicate
from stores.lance.terms import presence_term, value_term

_SYSTEM = "_system."
SYSTEM_TYPES: Mapping[str, type] = {
    "document_id": str,
    "source": str,
    "source_type": str,
    "collection": str,
    "page": int,
}
MOST_CONDITIONS = 50
LONGEST_LIST = 100
LARGEST_INTEGER = 2**31 - 1

Violation = dict[str, str]


class _Refused(Exception):
    """One condition is wrong; the pointer is below the filters."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message)
        self.pointer = pointer


def compile_filters(filters: Any) -> Predicate | None:
    """Return what `filters`, an object of `key: value` that must all hold, means; None if they ask for nothing.

    A bare key is the user's metadata, or else the system field of that name if a document's metadata has no such key;
    `_system.<field>` is the system field. Equality is JSON's: 1 is 1.0 but not "1" nor true; a list equals the same
    list; null is also equal to an absent key. Raises ValidationFailed with a violation per fault.
    """
    if filters is None:
        return None
    if not isinstance(filters, Mapping):
        _fail([{"pointer": "/filters", "message": "Filters must be an object of keys and values."}])
    if len(filters) > MOST_CONDITIONS:
        _fail([{"pointer": "/filters", "message": f"At most {MOST_CONDITIONS} filters are allowed."}])
    parts: list[Predicate] = []
    violations: list[Violation] = []
    for key, value in filters.items():
        pointer = _pointer(key)
        try:
            parts.append(_condition(key, value))
        except _Refused as refused:
            violations.append({"pointer": f"/filters{pointer}{refused.pointer}", "message": str(refused)})
    if violations:
        _fail(violations)
    return AllOf(tuple(parts)) if parts else None


def _fail(violations: list[Violation]) -> NoReturn:
    raise ValidationFailed("The filters are not valid.", violations=violations)


def _condition(key: Any, value: Any) -> Predicate:
    if not isinstance(key, str):
        raise _Refused("", "A filter's key must be a string.")
    if key.startswith("$"):
        raise _Refused("", f"Unknown operator {key[:40]}.")
    if not key:
        raise _Refused("", "A filter's key must not be empty.")
    _check_value(value)
    if key.startswith("_"):  # no name of a user's begins so: a typing error that would match nothing
        return _system_field(key.removeprefix(_SYSTEM), value)
    equal = HasTerm(value_term(key, value))
    return AnyOf((equal, Not(HasTerm(presence_term(key))))) if value is None else equal


def _system_field(name: str, value: Any) -> Predicate:
    wanted = SYSTEM_TYPES.get(name)
    if wanted is None:
        raise _Refused("", f"There is no such system field; there are {', '.join(sorted(SYSTEM_TYPES))}.")
    if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise _Refused("", f"{name} must be {'a string' if wanted is str else 'an integer'} or null.")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise _Refused("", f"{name} is out of range.")
    return OneOf(cast(Column, name), (cast("str | int | None", value),))


def _check_value(value: Any) -> None:
    if isinstance(value, Mapping):
        operator = next(iter(value), None)
        raise _Refused(
            "" if operator is None else _pointer(operator),
            "A filter's value must be a string, a number, a boolean, null or a list of these.",
        )
    if isinstance(value, list):
        if len(value) > LONGEST_LIST:
            raise _Refused("", f"A list may have at most {LONGEST_LIST} elements.")
        for pointer, element in _elements(value):
            if not _is_scalar(element):
                raise _Refused(pointer, "A list may hold strings, finite numbers, booleans and null.")
    elif not _is_scalar(value):
        raise _Refused("", "A filter's value must be a string, a finite number, a boolean or null.")


def _elements(values: list[Any]) -> Iterator[tuple[str, Any]]:
    for index, element in enumerate(values):
        yield f"/{index}", element


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def _pointer(key: Any) -> str:
    # RFC 6901: ~ and / inside a name are escaped.
    return "/" + str(key).replace("~", "~0").replace("/", "~1")
