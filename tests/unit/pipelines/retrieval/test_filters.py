"""Filters are compiled or refused with the place of every fault. What they mean is shown on a real table."""

from typing import Any

import pytest

from core.errors import ValidationFailed
from pipelines.retrieval.filters import DEEPEST, compile_filters
from stores.lance.jsonb import Bound
from stores.lance.predicates import AllOf, AnyOf, HasAnyTerm, HasTerm, HoldsText, InRange, Not, OneOf, Own, Present


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
        ("page", 3.0),
        ("page", None),
    ],
)
def test_system_fields_are_columns(field: str, value: Any) -> None:
    """`_system.` reaches the field even where metadata has the same name."""
    assert compile_filters({f"_system.{field}": value}) == AllOf((OneOf(field, (value,)),))  # type: ignore[arg-type]


def test_one_of_several_is_one_look_up() -> None:
    """`$in` asks the index once, however many values there are."""
    assert compile_filters({"a": {"$in": [1, "x"]}}) == AllOf((AllOf((HasAnyTerm(('"a"=1', '"a"="x"')),)),))


def test_a_range_is_one_comparison() -> None:
    """Both ends go together, behind the look-up that an index can answer."""
    between = InRange(Own("year"), Bound(2020, True), Bound(2027, False))

    compiled = compile_filters({"year": {"$lt": 2027, "$gte": 2020}})

    assert compiled == AllOf((AllOf((AllOf((HasTerm('"year"'), between)),)),))


def test_a_bare_name_of_ours_falls_back_to_our_field() -> None:
    """Only where the metadata has no such name, and only if the types can meet."""
    part, number = (compile_filters({"source": {each: value}}) for each, value in (("$contains", "x"), ("$gt", 1)))

    ours = AllOf((Not(Present(Own("source"))), HoldsText("source", "x")))
    text = AllOf((HasTerm('"source"'), AnyOf((HoldsText(Own("source"), "x"), ours))))
    assert part == AllOf((AllOf((AnyOf((HasTerm('"source"[]="x"'), text)),)),))
    assert number == AllOf((AllOf((AllOf((HasTerm('"source"'), InRange(Own("source"), Bound(1, False), None))),)),))


def test_connectives_nest() -> None:
    """`$and`, `$or` and `$not` are what they are called."""
    a, b = AllOf((HasTerm('"a"=1'),)), AllOf((HasTerm('"b"=2'),))

    assert compile_filters({"$or": [{"a": 1}, {"$not": {"b": 2}}]}) == AllOf((AnyOf((a, AllOf((Not(b),)))),))
    assert compile_filters({"$and": [{"a": 1}, {"b": 2}]}) == AllOf((AllOf((a, b)),))


def nested(depth: int) -> dict[str, Any]:
    return {"a": 1} if depth == 1 else {"$not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("filters", "pointers"),
    [
        ("text", ["/filters"]),
        ([], ["/filters"]),
        ({"a": {}}, ["/filters/a"]),
        ({"a": {"$near": 1}}, ["/filters/a/$near"]),
        ({"a": {"$or": [{"b": 1}]}}, ["/filters/a/$or"]),
        ({"a": {"b": {"c": 1}}}, ["/filters/a/b"]),
        ({"$or": []}, ["/filters/$or"]),
        ({"$or": {"a": 1}}, ["/filters/$or"]),
        ({"$and": [{"a": 1}, 2, {"$nor": []}]}, ["/filters/$and/1", "/filters/$and/2/$nor"]),
        ({"$not": [{"a": 1}]}, ["/filters/$not"]),
        ({"$or": [{"a": 1}] * 21}, ["/filters/$or"]),
        ({"a": [1, [2]]}, ["/filters/a/1"]),
        ({"a": [{"x": 1}]}, ["/filters/a/0"]),
        ({"a": float("nan")}, ["/filters/a"]),
        ({"a": list(range(101))}, ["/filters/a"]),
        ({"a": {"$in": list(range(101))}}, ["/filters/a/$in"]),
        ({"a": {"$in": 1}}, ["/filters/a/$in"]),
        ({"a": {"$in": [1, {}]}}, ["/filters/a/$in/1"]),
        ({"a": {"$contains": []}}, ["/filters/a/$contains"]),
        ({"a": {"$gt": True}}, ["/filters/a/$gt"]),
        ({"a": {"$gt": None, "$lt": []}}, ["/filters/a/$gt", "/filters/a/$lt"]),
        ({"a": {"$lte": float("inf")}}, ["/filters/a/$lte"]),
        ({"a": {"$exists": 1}}, ["/filters/a/$exists"]),
        ({"_system.page": "3"}, ["/filters/_system.page"]),
        ({"_system.page": True}, ["/filters/_system.page"]),
        ({"_system.page": 2**40}, ["/filters/_system.page"]),
        ({"_system.page": {"$gt": 1.5}}, ["/filters/_system.page/$gt"]),
        ({"_system.page": {"$contains": 1}}, ["/filters/_system.page/$contains"]),
        ({"_system.page": {"$gt": None}}, ["/filters/_system.page/$gt"]),
        ({"_system.source": 3}, ["/filters/_system.source"]),
        ({"_system.source": {"$contains": None}}, ["/filters/_system.source/$contains"]),
        ({"_system.source": {"$in": ["a", 1]}}, ["/filters/_system.source/$in/1"]),
        ({"_system.vector": "x"}, ["/filters/_system.vector"]),
        ({"_system.source": ["a"]}, ["/filters/_system.source"]),
        ({"a/b~c": {}, "fine": 1, "_system.x": 1}, ["/filters/a~1b~0c", "/filters/_system.x"]),
        ({str(number): number for number in range(51)}, ["/filters"]),
        ({"$or": [{f"{one}{two}": 1 for two in range(6)} for one in range(17)]}, ["/filters"]),
        (nested(DEEPEST + 1), ["/filters" + "/$not" * DEEPEST]),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_place(filters: Any, pointers: list[str]) -> None:
    """Wrong types, unknown operators and what is too much are refused, all of it at once, each with a JSON pointer."""
    with pytest.raises(ValidationFailed) as refused:
        compile_filters(filters)

    violations = refused.value.details["violations"]
    assert [violation["pointer"] for violation in violations] == pointers
    assert all(violation["message"].endswith(".") for violation in violations)


def test_as_deep_as_is_allowed() -> None:
    """The limit itself is fine."""
    assert compile_filters(nested(DEEPEST)) is not None
