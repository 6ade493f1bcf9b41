"""Schemas that authors write: what they may ask for, and what they cannot do to whoever checks."""

import socket
import time

import pytest

from server.agents.flow.definition import Json
from server.agents.flow.json_schema import fault, mismatch

PERSON: dict[str, Json] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "a/b": {"anyOf": [{"type": "integer"}, {"enum": ["none"]}]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("value", [{"name": "A"}, {"name": "A", "a/b": 3}, {"name": "A", "a/b": "none", "tags": ["x"]}])
def test_value_that_fits(value: Json) -> None:
    assert fault(PERSON) is None
    assert mismatch(value, PERSON) is None


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({}, ""),
        ({"name": ""}, "/name"),
        ({"name": "A", "a/b": "some"}, "/a~1b"),
        ({"name": "A", "tags": ["x", 1]}, "/tags/1"),
        ({"name": "A", "more": 1}, ""),
        (None, ""),
    ],
)
def test_value_that_does_not_fit_is_told_where(value: Json, pointer: str) -> None:
    found = mismatch(value, PERSON)
    assert found is not None
    assert (found.pointer, bool(found.message)) == (pointer, True)


_DEEP: dict[str, Json] = {}
for _ in range(30):
    _DEEP = {"items": _DEEP}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/schema"},
        {"properties": {"a": {"items": {"$ref": "#"}}}},
        {"$dynamicRef": "#a"},
        {"allOf": [{"type": "string", "pattern": "(a+)+$"}]},
        {"patternProperties": {"(a+)+$": {}}},
        {"propertyNames": {"pattern": "(a+)+$"}},
        {"uniqueItems": True},
        {"$schema": "http://example.com/other"},
        {"type": "nothing"},
        {"minLength": "one"},
        {"enum": list(range(5_000))},
        _DEEP,
        [],
        True,
        "string",
    ],
    ids=range(15),
)
def test_schema_that_could_do_more_is_refused(schema: Json) -> None:
    told = fault(schema)
    assert told is not None
    assert told.endswith(".")


def test_schema_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that got past validation: nothing is connected to, and nothing refused on its word."""
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: asked.append(address))
    assert mismatch({"a": 1}, {"properties": {"a": {"$ref": "http://127.0.0.1:1/schema"}}}) is None
    assert asked == []


def test_answer_is_checked_in_bounded_time() -> None:
    """A large schema and a large answer are each allowed, and both at once told to be too much."""
    large: dict[str, Json] = {"items": {"anyOf": [{"const": number} for number in range(400)]}}
    answer: Json = ["x"] * 50_000
    assert fault(large) is None
    began = time.thread_time()
    found = mismatch(answer, large)
    assert found is not None
    assert "too large" in found.message
    assert mismatch(answer, {"items": {"type": "string"}}) is None
    assert time.thread_time() - began < 10
