"""Compile the filters of a query. Whatever is wrong with them is told with its place, all of it at once."""

from collections.abc import Mapping
from typing import Any

from core.errors import ValidationFailed
from pipelines.retrieval.conditions import Refused, own_condition, pointer_of, system_condition
from stores.lance.predicates import AllOf, AnyOf, Not, Predicate

SYSTEM_PREFIX = "_system."
MOST_KEYS = 50
"""In one object."""
MOST_ALTERNATIVES = 20
"""In one `$and` or `$or`."""
MOST_CONDITIONS = 100
"""In all."""
DEEPEST = 5
"""Objects within objects, the outermost counted."""

Violation = dict[str, str]

_NOTHING_ASKED = AllOf(())


def compile_filters(filters: Any) -> Predicate | None:
    """Return what `filters`, an object of conditions that must all hold, means; None if they ask for nothing.

    `key: value` is equality, JSON's: 1 is 1.0 but not "1" nor true; a list equals the same list; null is also equal to
    an absent key. `key: {operator: …}` is told in conditions.py. `$and`, `$or` and `$not` hold objects like this one.
    A bare key is the user's metadata, or else the system field of that name if a document's metadata has no such key;
    `_system.<field>` is the system field. Raises ValidationFailed with a violation per fault.
    """
    if filters is None:
        return None
    compiling = _Compiling()
    asked = compiling.object(filters, "/filters", depth=1)
    if compiling.conditions > MOST_CONDITIONS:
        compiling.refuse("/filters", f"At most {MOST_CONDITIONS} conditions are allowed in all.")
    if compiling.violations:
        raise ValidationFailed("The filters are not valid.", violations=compiling.violations)
    return None if asked == _NOTHING_ASKED else asked


class _Compiling:
    """One walk through filters. What is refused leaves an empty predicate behind, which nobody will see."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.conditions = 0

    def refuse(self, pointer: str, message: str) -> Predicate:
        self.violations.append({"pointer": pointer, "message": message})
        return _NOTHING_ASKED

    def object(self, given: Any, pointer: str, *, depth: int) -> Predicate:
        if not isinstance(given, Mapping):
            return self.refuse(pointer, "Filters must be an object of keys and values.")
        if depth > DEEPEST:
            return self.refuse(pointer, f"Filters may be nested at most {DEEPEST} objects deep.")
        if len(given) > MOST_KEYS:
            return self.refuse(pointer, f"At most {MOST_KEYS} filters are allowed in one object.")
        return AllOf(
            tuple(self._entry(key, value, pointer + pointer_of(key), depth=depth) for key, value in given.items())
        )

    def _entry(self, key: Any, value: Any, pointer: str, *, depth: int) -> Predicate:
        match key:
            case "$and":
                return AllOf(self._list(value, pointer, depth=depth + 1))
            case "$or":
                return AnyOf(self._list(value, pointer, depth=depth + 1))
            case "$not":
                return Not(self.object(value, pointer, depth=depth + 1))
            case _:
                self.conditions += 1
                return self._condition(key, value, pointer)

    def _list(self, given: Any, pointer: str, *, depth: int) -> tuple[Predicate, ...]:
        if not isinstance(given, list) or not 1 <= len(given) <= MOST_ALTERNATIVES:
            self.refuse(pointer, f"Give a list of 1 to {MOST_ALTERNATIVES} filters.")
            return ()
        return tuple(self.object(each, f"{pointer}/{index}", depth=depth) for index, each in enumerate(given))

    def _condition(self, key: Any, value: Any, pointer: str) -> Predicate:
        faults: list[Refused] = []
        if not isinstance(key, str) or not key:
            return self.refuse(pointer, "A filter's key must be a string that is not empty.")
        if key.startswith("$"):
            return self.refuse(pointer, f"Unknown operator {key[:40]}; beside keys there are $and, $or and $not.")
        if key.startswith("_"):  # no name of a user's begins so: a typing error that would match nothing
            found = system_condition(key.removeprefix(SYSTEM_PREFIX), value, faults)
        else:
            found = own_condition(key, value, faults)
        for fault in faults:
            self.refuse(pointer + fault.pointer, fault.message)
        return found
