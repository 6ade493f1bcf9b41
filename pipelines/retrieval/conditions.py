"""What may be asked of one key: that it equals a value, or operators that must all hold.

`$in` one of a list; `$contains` a part of a text, or an element of a list; `$gt`, `$gte`, `$lt`, `$lte` of the same
type: numbers by what they are worth, texts by code point; `$exists`. Of an absent key nothing is true but
`$exists: false` and equality with null.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from stores.lance.jsonb import Bound
from stores.lance.predicates import (
    AllOf,
    AnyOf,
    Column,
    HasAnyTerm,
    HasTerm,
    HoldsText,
    InRange,
    Not,
    OneOf,
    Own,
    Place,
    Predicate,
    Present,
)
from stores.lance.terms import element_term, presence_term, value_term

SYSTEM_TYPES: Mapping[str, type] = {
    "document_id": str,
    "source": str,
    "source_type": str,
    "collection": str,
    "page": int,
}
LONGEST_LIST = 100
LARGEST_INTEGER = 2**31 - 1
ORDERED = {"$gt": False, "$gte": True, "$lt": False, "$lte": True}
"""The operators of order, and whether the bound itself will do."""
OPERATORS = ("$in", "$contains", *ORDERED, "$exists")


@dataclass(frozen=True, slots=True)
class Refused:
    """A fault and its place below the condition, as a JSON pointer."""

    pointer: str
    message: str


Check = Callable[[Any], str | None]
"""Returns what is wrong with a value, if something is."""


@dataclass(frozen=True, slots=True)
class _Checks:
    """What may stand beside the operators of a key: as a value, as a part of one, as a bound."""

    value: Check
    part: Check
    bound: Check


def own_condition(key: str, value: Any, faults: list[Refused]) -> Predicate:
    """Return what is asked of a bare key; adds to `faults` whatever is wrong, and returns anything then."""
    if isinstance(value, Mapping):
        return _all_of(value, faults, lambda operator, operand: _own_operator(key, operator, operand, faults))
    faults += _unfit(value, _scalar_fault, listed=True)
    return AllOf(()) if faults else _own_equals(key, (value,))


def system_condition(field: str, value: Any, faults: list[Refused]) -> Predicate:
    """Return what is asked of one of our own fields; adds to `faults` likewise."""
    if field not in SYSTEM_TYPES:
        faults.append(Refused("", f"There is no such system field; there are {', '.join(sorted(SYSTEM_TYPES))}."))
        return AllOf(())
    column = cast(Column, field)
    if isinstance(value, Mapping):
        return _all_of(value, faults, lambda operator, operand: _system_operator(column, operator, operand, faults))
    faults += _unfit(value, lambda each: _system_fault(column, each))
    return AllOf(()) if faults else OneOf(column, (_whole(value),))


def pointer_of(key: Any) -> str:
    """Return the key as a part of a JSON pointer (RFC 6901: ~ and / inside a name are escaped)."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _all_of(
    operators: Mapping[Any, Any], faults: list[Refused], compiled: Callable[[str, Any], Predicate]
) -> Predicate:
    if not operators:
        faults.append(Refused("", f"Give a value, or one of {', '.join(OPERATORS)}."))
    for operator in operators:
        if operator not in OPERATORS:
            faults.append(Refused(pointer_of(operator), f"Unknown operator; there are {', '.join(OPERATORS)}."))
    return AllOf(tuple(compiled(name, operand) for name, operand in _together(operators)))


def _together(operators: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is known of the operators, those of order as one: a range costs half of what its two sides do."""
    ordered = {name: operand for name, operand in operators.items() if name in ORDERED}
    if ordered:
        yield "order", ordered
    yield from ((name, operand) for name, operand in operators.items() if name in OPERATORS and name not in ORDERED)


def _own_operator(key: str, operator: str, operand: Any, faults: list[Refused]) -> Predicate:
    wrong = _operand_faults(operator, operand, _OWN)
    faults += wrong
    if wrong:
        return AllOf(())
    if operator == "$in":
        return _own_equals(key, operand)
    if operator == "$contains":
        return _own_contains(key, operand)
    if operator == "$exists":
        present = HasTerm(presence_term(key))
        return present if operand else Not(present)
    # The term first: an index knows it, so a key that few documents have costs little.
    return AllOf((HasTerm(presence_term(key)), *(_own_range(key, *bounds) for bounds in _ranges(operand))))


def _own_equals(key: str, values: Any) -> Predicate:
    terms = [value_term(key, value) for value in values]
    equal = HasTerm(terms[0]) if len(terms) == 1 else HasAnyTerm(tuple(terms))
    return AnyOf((equal, Not(HasTerm(presence_term(key))))) if None in values else equal


def _own_contains(key: str, operand: Any) -> Predicate:
    element = HasTerm(element_term(key, operand))
    if not isinstance(operand, str):
        return element
    text = _or_system(key, str, lambda place: HoldsText(place, operand))
    return AnyOf((element, AllOf((HasTerm(presence_term(key)), text))))


def _own_range(key: str, lowest: Bound | None, highest: Bound | None) -> Predicate:
    some = cast(Bound, lowest or highest)
    kind = str if isinstance(some.value, str) else int
    return _or_system(key, kind, lambda place: InRange(place, lowest, highest))


def _or_system(key: str, kind: type, of: Callable[[Place], Predicate]) -> Predicate:
    own = of(Own(key))
    if SYSTEM_TYPES.get(key) is not kind:
        return own
    return AnyOf((own, AllOf((Not(Present(Own(key))), of(cast(Column, key))))))


def _system_operator(column: Column, operator: str, operand: Any, faults: list[Refused]) -> Predicate:
    wrong = _operand_faults(operator, operand, _checks_of(column))
    faults += wrong
    if wrong:
        return AllOf(())
    if operator == "$in":
        return OneOf(column, tuple(map(_whole, operand)))
    if operator == "$contains":
        return HoldsText(column, operand)
    if operator == "$exists":
        return Present(column) if operand else Not(Present(column))
    return AllOf(tuple(InRange(column, *bounds) for bounds in _ranges(operand)))


def _ranges(operands: Mapping[str, Any]) -> Iterator[tuple[Bound | None, Bound | None]]:
    lowest = [Bound(operands[name], ORDERED[name]) for name in ("$gt", "$gte") if name in operands]
    highest = [Bound(operands[name], ORDERED[name]) for name in ("$lt", "$lte") if name in operands]
    while lowest and highest and isinstance(lowest[-1].value, str) == isinstance(highest[-1].value, str):
        yield lowest.pop(), highest.pop()
    yield from ((bound, None) for bound in lowest)
    yield from ((None, bound) for bound in highest)


def _operand_faults(operator: str, operand: Any, checks: _Checks) -> list[Refused]:
    match operator:
        case "order":
            faults = {name: checks.bound(value) for name, value in operand.items()}
            return [Refused(f"/{name}", fault) for name, fault in faults.items() if fault]
        case "$exists":
            return [] if isinstance(operand, bool) else [Refused("/$exists", "$exists must be true or false.")]
        case "$in":
            if not isinstance(operand, list):
                return [Refused("/$in", "$in must be a list.")]
            return [
                Refused("/$in" + fault.pointer, fault.message) for fault in _unfit(operand, checks.value, listed=True)
            ]
        case _:
            fault = checks.part(operand)
            return [Refused("/$contains", fault)] if fault else []


def _unfit(value: Any, fault: Check, *, listed: bool = False) -> Iterator[Refused]:
    if not (listed and isinstance(value, list)):
        message = fault(value)
        if message:
            yield Refused("", message)
    elif len(value) > LONGEST_LIST:
        yield Refused("", f"A list may have at most {LONGEST_LIST} elements.")
    else:
        for index, element in enumerate(value):
            message = fault(element)
            if message:
                yield Refused(f"/{index}", message)


def _scalar_fault(value: Any) -> str | None:
    if (isinstance(value, float) and math.isfinite(value)) or value is None or isinstance(value, str | int):
        return None
    return "This must be a string, a finite number, a boolean or null."


def _bound_fault(value: Any) -> str | None:
    if isinstance(value, bool) or value is None or _scalar_fault(value):
        return "Only strings and finite numbers have an order."
    return None


_OWN = _Checks(_scalar_fault, _scalar_fault, _bound_fault)


def _checks_of(column: Column) -> _Checks:
    def value_fault(value: Any) -> str | None:
        return _system_fault(column, value)

    def bound_fault(value: Any) -> str | None:
        return "null has no order." if value is None else value_fault(value)

    def part_fault(value: Any) -> str | None:
        if SYSTEM_TYPES[column] is not str:
            return f"{column} is a number, which has no parts."
        return None if isinstance(value, str) else "A part of a text must be a string."

    return _Checks(value_fault, part_fault, bound_fault)


def _system_fault(column: Column, value: Any) -> str | None:
    wanted, value = SYSTEM_TYPES[column], _whole(value)
    if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        return f"{column} must be {'a string' if wanted is str else 'an integer'} or null."
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return f"{column} is out of range."
    return None


def _whole(value: Any) -> Any:
    # To JSON Schema, 3.0 is an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value
