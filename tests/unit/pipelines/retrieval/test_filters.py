"""Filters are compiled or refused with the place of every fault."""

from typing import Any

import pytest

from core.errors import ValidationFailed
from pipelines.retrieval.filters import compile_filters
from stores.lance.predicates import AllOf, AnyOf, HasTerm, Not, OneOf


def test_no_filters_narrow_nothing() -> None:
    """Absent and empty filters mean the same."""
    assert compile_filters(None) is None
    assert compile_filters({}) is None


def test_the_example_of_the_reference() -> None:
    """A bare key is a look-up of one term; whether metadata or a system field answers was settled at writing."""
    assert compile_filters({"source_type": "documentation"}) == AllOf((HasTerm('"source_type"="documentation"'),))


def test_all_conditions_must_hold() -> None:
    """Several keys are joined by and, in the order they were given."""
    compiled = compile_filters({"a": 1, "b": True, "c": ["x", 2]})

    assert compiled == AllOf((HasTerm('"a"=1'), HasTerm('"b"=true'), HasTerm('"c"=["x",2]')))


def test_null_is_also_absence() -> None:
    """`null` finds documents whose value is null and those that have no such key."""
    assert compile_filters({"a": None}) == AllOf((AnyOf((HasTerm('"a"=null'), Not(HasTerm('"a"')))),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("document_id", "x"),
        ("source", "x' OR 1=1"),
        ("source_type", "text"),
        ("collection", "c"),
        ("page", 3),
        ("page", None),
    ],
)
def test_system_fields_are_columns(field: str, value: Any) -> None:
    """`_system.` reaches the field even where metadata has the same name."""
    assert compile_filters({f"_system.{field}": value}) == AllOf((OneOf(field, (value,)),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "pointers"),
    [
        ("text", ["/filters"]),
        ([], ["/filters"]),
        ({"a": {}}, ["/filters/a"]),
        ({"a": {"$gt": 1}}, ["/filters/a/$gt"]),
        ({"a": {"b": {"c": 1}}}, ["/filters/a/b"]),
        ({"$or": []}, ["/filters/$or"]),
        ({"a": [1, [2]]}, ["/filters/a/1"]),
        ({"a": [{"x": 1}]}, ["/filters/a/0"]),
        ({"a": float("nan")}, ["/filters/a"]),
        ({"a": list(range(101))}, ["/filters/a"]),
        ({"_system.page": "3"}, ["/filters/_system.page"]),
        ({"_system.page": True}, ["/filters/_system.page"]),
        ({"_system.page": 2**40}, ["/filters/_system.page"]),
        ({"_system.source": 3}, ["/filters/_system.source"]),
        ({"_system.vector": "x"}, ["/filters/_system.vector"]),
        ({"_system.source": ["a"]}, ["/filters/_system.source"]),
        ({"a/b~c": {}, "fine": 1, "_system.x": 1}, ["/filters/a~1b~0c", "/filters/_system.x"]),
        ({str(number): number for number in range(51)}, ["/filters"]),
    ],
)
def test_every_fault_is_told_with_its_place(filters: Any, pointers: list[str]) -> None:
    """Wrong types, unknown operators and nesting are refused, all of them at once, each with a JSON pointer."""
    with pytest.raises(ValidationFailed) as refused:
        compile_filters(filters)

    violations = refused.value.details["violations"]
    assert [violation["pointer"] for violation in violations] == pointers
    assert all(violation["message"].endswith(".") for violation in violations)
