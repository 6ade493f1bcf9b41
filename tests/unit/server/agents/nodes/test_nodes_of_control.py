"""Nodes that compute, decide, wait and run other nodes, each in a flow that runs."""

from datetime import timedelta
from typing import Any

import pytest

from core.clock import FrozenClock
from server.agents.executor.journal import Completed, Failed, Parked
from server.agents.executor.memory import MemoryJournal
from server.agents.nodes.registry import build_registry
from tests.factories.flows import flow, run_flow

INPUT = ("input", {})


async def came_to(definition: dict[str, Any], given: Any = None, **more: Any) -> Any:
    ending = await run_flow(definition, given, **more)
    assert isinstance(ending, Completed), ending
    return ending.result


async def failed(definition: dict[str, Any], given: Any = None) -> tuple[str, str]:
    ending = await run_flow(definition, given)
    assert isinstance(ending, Failed), ending
    return ending.fault.code, ending.path


async def test_input_leads_to_output() -> None:
    assert await came_to(flow({"in": INPUT, "out": ("output", {})}, ("in", "out")), {"a": 1}) == {"a": 1}


async def test_input_that_is_not_what_the_flow_asks_for_fails_first() -> None:
    schema = {"type": "object", "required": ["message"]}
    asked = flow({"in": ("input", {"schema": schema}), "out": ("output", {})}, ("in", "out"))
    assert await came_to(asked, {"message": "x"}) == {"message": "x"}
    assert await failed(asked, {}) == ("INPUT_INVALID", "in")


async def test_output_of_several_is_their_list_in_the_order_of_the_edges() -> None:
    made = {"in": INPUT, "a": ("template", {"template": "A"}), "b": ("template", {"template": "B"})}
    edges = [("in", "a"), ("in", "b"), ("b", "out"), ("a", "out")]
    assert await came_to(flow({**made, "out": ("output", {})}, *edges)) == ["B", "A"]
    assert await came_to(flow({**made, "out": ("output", {"value": "{{ nodes.a.output }}!"})}, *edges)) == "A!"
    assert await came_to(flow({**made, "out": ("output", {"value": None})}, *edges)) is None


@pytest.mark.parametrize(("n", "way"), [(5, "large"), (2, "small")])
async def test_condition_leaves_by_one_of_two_ports(n: int, way: str) -> None:
    """What no path leads to is not run, and where paths meet again it goes on."""
    nodes = {
        "in": INPUT,
        "ask": ("condition", {"expression": "output.n > 3 && input.n < 10"}),
        "yes": ("template", {"template": "large"}),
        "no": ("template", {"template": "small"}),
        "out": ("output", {}),
    }
    edges = [("in", "ask"), ("ask", "yes", "true"), ("ask", "no", "false"), ("yes", "out"), ("no", "out")]
    journal = MemoryJournal(FrozenClock().now)
    assert await came_to(flow(nodes, *edges), {"n": n}, journal=journal) == way
    assert set(journal.outputs) == {"in", "ask", "out", "yes" if way == "large" else "no"}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"label": "refund"}, "refund"),
        ({"label": "sales"}, "other"),
        ({"label": 1}, "one"),
        ({"label": True}, "default"),
        ({"label": "x", "urgent": True}, "urgent"),
        ({"label": "x"}, "default"),
        ({"label": None}, "default"),
    ],
)
async def test_switch_takes_the_first_case_that_holds(given: dict[str, Any], taken: str) -> None:
    cases = [
        {"name": "refund"},
        {"name": "other", "equals": "sales"},
        {"name": "one", "equals": 1},
        {"name": "urgent", "condition": "has(input.urgent) && input.urgent"},
    ]
    switch = flow({"in": INPUT, "s": ("switch", {"value": "{{ input.label }}", "cases": cases})}, ("in", "s"))
    assert await came_to(switch, given) == taken


async def test_map_keeps_the_order_and_collects_what_fails() -> None:
    body = flow({"x": ("template", {"template": "{{ index }}:{{ item.a }}"})})
    mapped = {"items": "{{ input }}", "body": body, "max_concurrency": 3}
    items = [{"a": n} for n in range(20)]
    assert await came_to(flow({"in": INPUT, "m": ("map", mapped)}, ("in", "m")), items) == [
        f"{n}:{n}" for n in range(20)
    ]
    items[3] = {}
    assert await failed(flow({"in": INPUT, "m": ("map", mapped)}, ("in", "m")), items) == ("TEMPLATE_FAILED", "m")
    collecting = flow({"in": INPUT, "m": ("map", {**mapped, "on_item_error": "collect"})}, ("in", "m"))
    result = await came_to(collecting, items)
    assert result[3]["error"]["code"] == "TEMPLATE_FAILED"
    assert result[4] == "4:4"
    assert await came_to(flow({"in": INPUT, "m": ("map", mapped)}, ("in", "m")), []) == []


async def test_loop_goes_on_while_its_condition_holds() -> None:
    body = flow({"x": ("template", {"template": "{{ item + 1 }}"})})
    counting = {"initial": 0, "body": body, "while": "output < 7"}
    assert await came_to(flow({"l": ("loop", counting)})) == 7
    assert await came_to(flow({"l": ("loop", {**counting, "max_iterations": 4})})) == 4


async def test_subflow_sees_its_own_input_only() -> None:
    inner = flow({"in": INPUT, "x": ("template", {"template": "{{ input.n }} {{ input.m is defined }}"})}, ("in", "x"))
    outer = flow({"in": INPUT, "s": ("subflow", {"flow_id": "inner", "input": {"n": "{{ input.m }}"}})}, ("in", "s"))
    assert await came_to(outer, {"m": 3}, flows={"inner": inner}) == "3 false"


def asking(**more: Any) -> dict[str, Any]:
    nodes = {
        "in": INPUT,
        "ask": ("human", {"prompt": "May {{ input.who }}?", **more}),
        "go": ("template", {"template": "went"}),
        "late": ("template", {"template": "late"}),
    }
    port = "yes" if "choices" in more else "answered"
    return flow(nodes, ("in", "ask"), ("ask", "go", port), ("ask", "late", "expired"))


@pytest.mark.parametrize(
    ("answer", "result"), [("yes", "went"), ({"choice": "yes", "note": "!"}, "went"), ("no", None)]
)
async def test_person_chooses_the_way(answer: Any, result: Any) -> None:
    clock = FrozenClock()
    journal = MemoryJournal(clock.now)
    parked = await run_flow(asking(choices=["yes", "no"]), {"who": "I"}, journal=journal, clock=clock)
    assert isinstance(parked, Parked)
    assert (parked.until, parked.paths) == (None, ("ask",))
    wait = journal.pasts["ask"].wait
    assert wait is not None
    assert wait.prompt == "May I?"
    journal.answer("ask", answer)
    assert await came_to(asking(choices=["yes", "no"]), {"who": "I"}, journal=journal) == result
    assert journal.outputs["ask"].output == answer


async def test_person_who_does_not_answer_in_time_is_not_waited_for() -> None:
    clock = FrozenClock()
    journal = MemoryJournal(clock.now)
    asked = asking(expires_after_seconds=60)
    parked = await run_flow(asked, {"who": "I"}, journal=journal, clock=clock)
    assert isinstance(parked, Parked)
    assert parked.until == clock.now() + timedelta(seconds=60)
    clock.advance(timedelta(seconds=61))
    assert await came_to(asked, {"who": "I"}, journal=journal, clock=clock) == "late"


async def test_signal_is_waited_for() -> None:
    journal = MemoryJournal(FrozenClock().now)
    waiting = flow({"in": INPUT, "w": ("wait_signal", {"signal": "paid-{{ input.order }}"})}, ("in", "w"))
    assert isinstance(await run_flow(waiting, {"order": 7}, journal=journal), Parked)
    wait = journal.pasts["w"].wait
    assert wait is not None
    assert (wait.kind, wait.name) == ("signal", "paid-7")
    journal.answer("w", {"amount": 3})
    assert await came_to(waiting, {"order": 7}, journal=journal) == {"amount": 3}


@pytest.mark.parametrize(
    ("kind", "config", "told"),
    [
        ("condition", {"expression": "1 +"}, "CEL"),
        ("switch", {"cases": []}, "cases"),
        ("switch", {"cases": [{"name": "default"}]}, "default"),
        ("switch", {"cases": [{"name": "a"}, {"name": "a"}]}, "same name"),
        ("switch", {"cases": [{"name": "a", "equals": 1, "condition": "true"}]}, "not both"),
        ("map", {"items": []}, "flow_id"),
        ("human", {"prompt": "x", "choices": ["expired"]}, "expired"),
        ("human", {"prompt": "x", "choices": ["a"], "schema": {}}, "not both"),
        ("human", {"prompt": "x", "schema": {"$ref": "http://127.0.0.1/"}}, "$ref"),
        ("input", {"schema": {"pattern": "(a+)+$"}}, "pattern"),
        ("template", {}, "template"),
        ("template", {"template": "x", "tempalte": "y"}, "tempalte"),
        ("output", {"retry": {"attempts": 0}}, "attempts"),
    ],
)
def test_configuration_that_is_wrong_is_told(kind: str, config: dict[str, Any], told: str) -> None:
    node_type = build_registry(clock=FrozenClock())[kind]
    with pytest.raises(ValueError, match=told.replace("$", r"\$")):
        node_type.config_model.model_validate(config)


def test_every_type_publishes_its_configuration() -> None:
    """Each field has a description, so that a form can be made of it."""
    for name, node_type in build_registry(clock=FrozenClock()).items():
        schema = node_type.config_model.model_json_schema(by_alias=True)
        assert (node_type.name, schema["additionalProperties"]) == (name, False)
        assert all(part.strip().endswith(".") for part in [node_type.description])
