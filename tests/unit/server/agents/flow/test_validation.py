"""Every fault of a flow at once, each where it is."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.agents.flow.faults import Checked
from server.agents.flow.validation import MOST_NODES, check
from tests.fakes.node_types import fake_registry

REGISTRY = fake_registry()


def node(name: str, kind: str = "template", **config: Any) -> dict[str, Any]:
    return {"id": name, "type": kind, "config": config}


def edge(source: str, target: str, condition: str | None = None) -> dict[str, Any]:
    return {"source": source, "target": target} | ({} if condition is None else {"condition": condition})


def flow(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "nodes": [part for part in parts if "source" not in part],
        "edges": [part for part in parts if "source" in part],
    }


def found(*parts: dict[str, Any]) -> set[tuple[str, str]]:
    return {(fault.code, fault.pointer) for fault in check(flow(*parts), REGISTRY).faults}


def _resolves(document: Any, pointer: str) -> bool:
    """Whether a pointer leads to something there, or to a field that is missing from an object there."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for place, step in enumerate(steps):
        if isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        elif isinstance(document, dict) and step in document:
            document = document[step]
        elif step == "config":
            document = {}  # what it is where it is left out
        else:
            return isinstance(document, dict) and place == len(steps) - 1
    return True


SOUND = (
    node("input", "input"),
    node("find", "retrieve", query="{{ input.message }}", collection="manuals"),
    node("sure", "condition", when="size(nodes.find.output) > 0"),
    node("call", "http", url="https://example.com/{{ input.id }}", token={"$secret": "crm"}, retries="{{ input.n }}"),
    node("each", "map", items="{{ nodes.find.output }}", body=flow(node("one", text="{{ item }} {{ nodes.find }}"))),
    node("output", "output", text="{{ nodes.call.output.text }}"),
    edge("input", "find"),
    edge("find", "sure"),
    edge("sure", "call", "true"),
    edge("sure", "each", "false"),
    edge("call", "output", "output.count > 1 && nodes.find.output != null"),
    edge("call", "each", "error"),
    edge("each", "output"),
)


def test_a_sound_flow_has_no_faults() -> None:
    """And what it needs from elsewhere is told, with its place."""
    checked = check(flow(*SOUND), REGISTRY)
    assert checked.faults == []
    assert {(each.kind, each.name, each.pointer) for each in checked.references} == {
        ("collection", "manuals", "/nodes/1/config/collection"),
        ("secret", "crm", "/nodes/3/config/token/$secret"),
    }


def test_all_faults_come_at_once() -> None:
    """One of each kind in one flow: none hides another."""
    faults = found(
        node("start", "input", surplus=1),
        node("start", "input"),
        node("a/b"),
        node("odd", "python"),
        node("call", "http", url="", retries=9),
        node("late", text="{{ nodes.never.output }}"),
        node("round", text="{{ nope }}"),
        node("circle", text="{% for"),
        node("second", "input"),
        edge("start", "call"),
        edge("call", "gone"),
        edge("call", "call"),
        edge("call", "late", "outp ut"),
        edge("late", "round"),
        edge("round", "circle"),
        edge("circle", "round"),
    )
    assert faults == {
        ("bad_config", "/nodes/0/config/surplus"),
        ("duplicate_id", "/nodes/1/id"),
        ("bad_id", "/nodes/2/id"),
        ("unknown_type", "/nodes/3/type"),
        ("unreachable", "/nodes/3"),
        ("bad_config", "/nodes/4/config/url"),
        ("bad_config", "/nodes/4/config/retries"),
        ("bad_template", "/nodes/5/config/text"),
        ("bad_template", "/nodes/6/config/text"),
        ("cycle", "/nodes/6"),
        ("bad_template", "/nodes/7/config/text"),
        ("two_starts", "/nodes/8"),
        ("dangling_edge", "/edges/1/target"),
        ("self_edge", "/edges/2"),
        ("bad_condition", "/edges/3/condition"),
    }


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], {("no_nodes", "/nodes")}),
        ([node("a"), node("b")], {("two_starts", "/nodes/1")}),
        ([node("a"), node("b"), edge("a", "b"), edge("b", "a")], {("cycle", "/nodes/0")}),
        (
            [node("a"), node("i", "input"), edge("a", "i")],
            {("unreachable", "/nodes/0"), ("type_mismatch", "/edges/0/target")},
        ),
        ([node("o", "output"), node("b"), edge("o", "b")], {("type_mismatch", "/edges/0/source")}),
        ([node("o", "output"), node("b"), edge("o", "b", "error")], set()),
        ([node("a"), node("b"), edge("a", "b"), edge("a", "b")], {("duplicate_edge", "/edges/1")}),
        ([node("a"), node("b"), edge("a", "b", "item == 1")], {("bad_condition", "/edges/0/condition")}),
        ([node("a"), node("b"), edge("a", "b", "nodes.b.output == 1")], {("bad_condition", "/edges/0/condition")}),
        ([node("a"), node("b"), edge("a", "b", "output == 'nodes.b'")], set()),
        ([node("a"), node("b"), edge("a", "b", 'nodes["a"].output == 1')], set()),
        (
            [node("if", "condition", when="true"), node("b"), edge("if", "b", "maybe")],
            {("unknown_port", "/edges/0/condition")},
        ),
        ([node("if", "condition", when="nope > 1")], {("bad_condition", "/nodes/0/config/when")}),
        (
            [node("s", "switch", cases=[{"name": "x", "when": "1 +"}, {"name": "1 +", "when": "true"}])],
            {("bad_condition", "/nodes/0/config/cases/0/when")},
        ),
        ([node("a", text="{{ item }}")], {("bad_template", "/nodes/0/config/text")}),
        ([node("a", text={"deep": ["{{ 1 ** 2 }}"]})], {("bad_template", "/nodes/0/config/text/deep/0")}),
        (
            [node("h", "http", url="x", token={"$secret": "{{ input.k }}"})],
            {("bad_secret", "/nodes/0/config/token/$secret")},
        ),
        ([node("h", "http", url="x", token={"$secret": "k", "or": 1})], {("bad_secret", "/nodes/0/config/token")}),
        (
            [node("h", "http", url="x"), node("r", "retrieve", query="{{ nodes.h.output.count }}"), edge("h", "r")],
            {("type_mismatch", "/nodes/1/config/query")},
        ),
        (
            [node("h", "http", url="x"), node("r", "retrieve", query="{{ nodes.h.output.body }}"), edge("h", "r")],
            {("type_mismatch", "/nodes/1/config/query")},
        ),
        ([node("h", "http", url="x"), node("r", "retrieve", query="{{ nodes.h.output.text }}"), edge("h", "r")], set()),
        (
            [node("m", "map", items=[], body=flow(node("a"), node("b", "python")))],
            {("two_starts", "/nodes/0/config/body/nodes/1"), ("unknown_type", "/nodes/0/config/body/nodes/1/type")},
        ),
        (
            [node("m", "map", items=[], body={"nodes": {}})],
            {("bad_shape", "/nodes/0/config/body/nodes")},
        ),
    ],
)
def test_single_faults(parts: list[dict[str, Any]], expected: set[tuple[str, str]]) -> None:
    """Each alone, and its nearest neighbour that is none."""
    assert found(*parts) == expected


def test_shapes_that_are_none() -> None:
    """What is no node and no edge is told to be none, where it stands."""
    given: Any = {
        "nodes": [3, {"id": 1, "type": [], "config": [], "x": 0}],
        "edges": ["e", {"source": [], "condition": 5}],
    }
    faults = {(each.code, each.pointer) for each in check(given, REGISTRY).faults}
    assert faults == {
        ("bad_shape", "/nodes/0"),
        ("bad_shape", "/nodes/1"),
        ("bad_id", "/nodes/1/id"),
        ("unknown_type", "/nodes/1/type"),
        ("bad_shape", "/nodes/1/config"),
        ("bad_shape", "/edges/0"),
        ("bad_shape", "/edges/1/condition"),
        ("dangling_edge", "/edges/1/source"),
        ("dangling_edge", "/edges/1/target"),
    }


def test_size_is_bounded() -> None:
    """A thousand nodes, those in bodies counted; and bodies in bodies in bodies."""
    chain = [node(f"n{place}") for place in range(MOST_NODES)]
    edges = [edge(f"n{place}", f"n{place + 1}") for place in range(MOST_NODES - 1)]
    began = time.process_time()
    assert found(*chain, *edges) == set()
    assert time.process_time() - began < 5
    assert found(*chain, node("more"), *edges) == {("too_many_nodes", "/nodes")}
    inner = node("inner", "map", items=[], body=flow(node("one")))
    assert found(*chain[:-1], inner, *edges[:-1], edge("n998", "inner")) == {
        ("too_many_nodes", "/nodes/999/config/body/nodes")
    }
    assert found(node("a", text="x" * 2_000_000)) == {("too_large", "")}
    body = flow(node("one"))
    for _ in range(6):
        body = flow(node("m", "map", items=[], body=body))
    assert [fault.code for fault in check(body, REGISTRY).faults] == ["too_deep"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["{{ x }}", "a", "input", "map"]),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "type",
                    "config",
                    "body",
                    "nodes",
                    "edges",
                    "source",
                    "target",
                    "condition",
                    "$secret",
                    "url",
                    "items",
                    "cases",
                    "~/",
                ]
            ),
            inside,
            max_size=5,
        )
    ),
    max_leaves=25,
)
NODE = st.fixed_dictionaries(
    {"id": st.sampled_from("abc") | JSON, "type": st.sampled_from(sorted(REGISTRY)) | JSON},
    optional={
        "config": st.dictionaries(st.sampled_from(["body", "items", "cases", "when", "text", "url", "token"]), JSON)
    },
)
EDGE = st.fixed_dictionaries(
    {"source": st.sampled_from("abc") | JSON, "target": st.sampled_from("abc")}, optional={"condition": JSON}
)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {"nodes": st.lists(NODE | JSON, max_size=4) | JSON, "edges": st.lists(EDGE | JSON, max_size=4) | JSON}
    )
)
def test_whatever_comes_in_is_judged(given_flow: dict[str, Any]) -> None:
    """No JSON raises, every pointer leads somewhere, and the flow is as it was."""
    before = json.dumps(given_flow)
    checked: Checked = check(given_flow, REGISTRY)
    assert json.dumps(given_flow) == before
    for fault in (*checked.faults, *checked.references):
        assert _resolves(given_flow, fault.pointer), fault
    for fault in checked.faults:
        assert 0 < len(fault.message) < 1000
