"""Conditions: yes or no, or a sentence that says why neither."""

import time

import pytest

from server.agents.flow import conditions
from server.agents.flow.conditions import ConditionFailed
from server.agents.flow.definition import Json

SCOPE: dict[str, Json] = {
    "input": {"n": 5, "f": 0.5, "text": "Hello", "none": None, "list": [1, 2, 3], "yes": True},
    "context": {},
    "nodes": {"find": {"output": {"hits": [{"score": 0.9}, {"score": 0.2}]}}},
    "output": {"label": "urgent"},
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("input.n > 4", True),
        ("input.n > 4.5", True),
        ("input.n == 5.0", True),
        ("input.f < 1", True),
        ("output.label == 'urgent' && input.yes", True),
        ("output.label in ['low', 'high']", False),
        ("has(input.missing)", False),
        ("has(input.missing) && input.missing == 1", False),
        ("input.none == null", True),
        ("input.text.startsWith('He') || input.missing", True),
        ("input.text.matches('^H.*o$')", True),
        ("size(nodes.find.output.hits) == 2", True),
        ("nodes.find.output.hits.exists(hit, hit.score > 0.8)", True),
        ("nodes.find.output.hits.all(hit, hit.score > 0.8)", False),
        ("input.list.all(x, x > 0) && input.list.exists(y, y == 2)", True),
        ("size(input.list.filter(x, x > input.n)) == 0", True),
        ("input.text == '((((((((' // with a remark", False),
        ("input.text == '.all( .map('", False),
        ("true", True),
    ],
)
def test_condition_holds_or_not(text: str, holds: bool) -> None:
    assert conditions.fault(text) is None
    assert conditions.holds(text, SCOPE) is holds


@pytest.mark.parametrize(
    "text",
    [
        "input.missing == 1",
        "input.n",
        "input.n && true",
        "1 / 0 == 1",
        "input.list[9] == 1",
        "input.text > 1",
        "output",
    ],
)
def test_condition_that_is_neither_says_why(text: str) -> None:
    """Nothing is guessed: what is missing or no boolean fails, in a sentence without the library's words for it."""
    with pytest.raises(ConditionFailed) as failed:
        conditions.holds(text, SCOPE)
    assert failed.value.message.endswith(".")
    assert "Traceback" not in failed.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "input.n >",
        "a) || (true",
        "foo > 1",
        "secrets.key == 'x'",
        "input.list.all(x, input.list.exists(y, x == y))",
        "[1].map(x, [1].map(y, x))",
        "(" * 60 + "1" + ")" * 60 + " == 1",
        "!" * 30_000 + "true",
        "'unclosed",
        "input.text == 'a' and input.n == 1",
        "\x00",
        "\ud800",
    ],
)
def test_fault_is_told_in_a_sentence(text: str) -> None:
    fault = conditions.fault(text)
    assert fault is not None
    assert fault.endswith(".")


def test_list_that_is_too_large_for_a_condition_is_told() -> None:
    """A macro that looks around at each item is bounded by what there is to see; one that looks at its item is not."""
    items: dict[str, Json] = {"list": list(range(50_000)), "short": ["a" * 20_000] * 1000}
    scope: dict[str, Json] = {"input": items}
    assert conditions.holds("input.list.all(x, x >= 0)", scope)
    for text in ("input.list.all(x, x in input.list)", "size(input.list.map(x, input.list)) > 0"):
        with pytest.raises(ConditionFailed):
            conditions.holds(text, scope)
    del items["list"]
    for text in ("input.short.all(x, x in input.short)", "size(input.short.map(x, [x, x, x, x])) > 0"):
        began = time.thread_time()
        with pytest.raises(ConditionFailed, match="too large"):
            conditions.holds(text, scope)
        assert time.thread_time() - began < 5


def test_making_a_list_of_a_long_one_is_refused() -> None:
    """The library takes time with the square of the length for it; asking about each item does not."""
    scope: dict[str, Json] = {"input": {"list": ["text"] * 200_000, "short": [1] * 1000}}
    for text in ("input.list.map(x, [x, x, x])", "size(input.list.filter(x, x == '')) == 0"):
        with pytest.raises(ConditionFailed, match=r"up to 1000 items.*exists"):
            conditions.holds(text, scope)
    assert conditions.holds("input.list.all(x, x == 'text')", scope)
    assert conditions.holds("size(input.short.filter(x, x == 1)) == 1000", {"input": {"short": [1] * 1000}})
