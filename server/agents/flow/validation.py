"""Everything that is wrong with a flow, at once, each fault with its JSON pointer; and what the flow refers to.

What comes in is JSON as somebody sent it: nothing is taken for granted. Whether secrets, collections and flows that it
refers to exist is not known here.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from server.agents.flow.configuration import BODY, check_condition, check_config, has_body
from server.agents.flow.definition import ERROR_PORT, Json
from server.agents.flow.faults import Checked, CheckedType, Reference, Visible
from server.agents.flow.graph import Graph

MOST_NODES = 1000
MOST_EDGES = 5000
MOST_BYTES = 1_048_576
# Of maps and loops in one another's bodies.
DEEPEST_BODY = 5
ID_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$"
_ID = re.compile(ID_PATTERN.removesuffix("$"))
_NODE_FIELDS = frozenset({"id", "type", "config"})
_EDGE_FIELDS = frozenset({"source", "target", "condition"})
_INPUT, _OUTPUT = "input", "output"

Registry = Mapping[str, CheckedType]


def check(definition: Mapping[str, Any], registry: Registry) -> Checked:
    """Return all faults of `{"nodes": […], "edges": […]}` and all it refers to. Never raises for what is in it."""
    checked = Checked()
    if len(json.dumps(definition)) > MOST_BYTES:
        checked.fault("too_large", "", f"A flow has up to {MOST_BYTES} bytes of JSON.")
        return checked
    _Frame(checked, registry, definition, "", None, _Count()).check()
    return checked


class _Count:
    """Of all nodes of a flow, those in bodies as well."""

    nodes = 0


class _Frame:
    """The check of one graph: the flow's own, or the body of a map or loop."""

    def __init__(
        self,
        checked: Checked,
        registry: Registry,
        given: Mapping[str, Any],
        at: str,
        around: Visible | None,
        count: _Count,
        depth: int = 0,
    ) -> None:
        self._checked, self._registry, self._around, self._at = checked, registry, around, at
        self._count, self._depth = count, depth
        self._given = given
        self._nodes: dict[str, tuple[int, Mapping[str, Any]]] = {}  # by id: which one it is, as it was given
        self._sound: set[str] = set()  # ids of those whose configuration fits their type

    def check(self) -> None:
        nodes = self._list("nodes", required=True)
        edges = self._list("edges")
        if not self._are_few(nodes, edges):
            return
        for index, node in enumerate(nodes):
            self._note_node(index, node)
        joined = [(index, edge) for index, edge in enumerate(edges) if self._is_edge(index, edge)]
        order = {name: place for place, name in enumerate(self._nodes)}
        graph = Graph(len(order), ((order[edge["source"]], order[edge["target"]]) for _, edge in joined))
        self._check_shape(graph)
        seen = self._seen(graph)
        for name, (index, node) in self._nodes.items():
            self._check_node(index, node, seen[name])
        self._check_edges(joined, seen)

    def _list(self, name: str, *, required: bool = False) -> list[Any]:
        value = self._given.get(name, [])
        if not isinstance(value, list):
            self._fault("bad_shape", f"/{name}", f"`{name}` is a list.")
            return []
        if required and not value:
            self._fault("no_nodes", f"/{name}", "A flow has at least one node.")
        return value

    def _are_few(self, nodes: list[Any], edges: list[Any]) -> bool:
        self._count.nodes += len(nodes)
        few = True
        if self._count.nodes > MOST_NODES:
            self._fault("too_many_nodes", "/nodes", f"A flow has up to {MOST_NODES} nodes, those in bodies counted.")
            few = False
        if len(edges) > MOST_EDGES:
            self._fault("too_many_edges", "/edges", f"A flow has up to {MOST_EDGES} edges.")
            few = False
        return few

    def _note_node(self, index: int, node: Any) -> None:
        at = f"/nodes/{index}"
        if not isinstance(node, Mapping):
            self._fault("bad_shape", at, "A node is an object of `id`, `type` and `config`.")
            return
        for other in sorted(map(str, node.keys() - _NODE_FIELDS)):
            self._fault("bad_shape", at, f"A node has `id`, `type` and `config`, and no {other[:100]!r}.")
        kind, config = node.get("type"), node.get("config", {})
        if not isinstance(kind, str) or kind not in self._registry:
            known = ", ".join(self._registry)
            self._fault("unknown_type", f"{at}/type", f"There is no such type of node. There are: {known}.")
        if not isinstance(config, Mapping):
            self._fault("bad_shape", f"{at}/config", "`config` is an object.")
        name = node.get("id")
        if not isinstance(name, str) or not _ID.fullmatch(name):
            message = "An id has up to 64 letters, digits and _ . : - and begins with a letter, a digit or _."
            self._fault("bad_id", f"{at}/id", message)
        elif name in self._nodes:
            first = self._nodes[name][0]
            self._fault("duplicate_id", f"{at}/id", f"Another node has this id: /nodes/{first}.")
        else:
            self._nodes[name] = (index, node)

    def _is_edge(self, index: int, edge: Any) -> bool:
        at = f"/edges/{index}"
        if not isinstance(edge, Mapping):
            self._fault("bad_shape", at, "An edge is an object of `source`, `target` and perhaps `condition`.")
            return False
        for name in sorted(map(str, edge.keys() - _EDGE_FIELDS)):
            self._fault("bad_shape", at, f"An edge has `source`, `target` and `condition`, and no {name[:100]!r}.")
        condition = edge.get("condition")
        if condition is not None and not isinstance(condition, str):
            self._fault("bad_shape", f"{at}/condition", "`condition` is a text: a port of the source, or CEL.")
        known = True
        for end in ("source", "target"):
            if not isinstance(edge.get(end), str) or edge[end] not in self._nodes:
                self._fault("dangling_edge", f"{at}/{end}", "There is no node of this id.")
                known = False
        if known and edge["source"] == edge["target"]:
            self._fault("self_edge", at, "An edge leads from one node to another. To do something again, use a loop.")
            return False
        return known

    def _check_shape(self, graph: Graph) -> None:
        names = list(self._nodes)
        for circle in graph.circles:
            way = " → ".join(names[each] for each in [*circle, circle[0]])
            self._fault("cycle", self._place(names[circle[0]]), f"Edges go in a circle: {way}. Use a loop node.")
        inputs = [place for place, name in enumerate(names) if self._type_name(name) == _INPUT]
        starts = inputs[:1] or graph.starts
        for place in inputs[1:]:
            self._fault("two_starts", self._place(names[place]), "A flow has one input node.")
        if not inputs:
            for place in starts[1:]:
                message = f"A flow starts at one node, and nothing leads to {names[starts[0]]!r} either."
                self._fault("two_starts", self._place(names[place]), message)
        reached = graph.reached_from([*starts, *inputs])
        for place, name in enumerate(names):
            if place not in reached and starts:
                self._fault("unreachable", self._place(name), f"No way leads from {names[starts[0]]!r} to this node.")

    def _seen(self, graph: Graph) -> dict[str, Visible]:
        types = {name: self._type(name) for name in self._nodes}
        places = {name: place for place, name in enumerate(types)}
        return {
            name: Visible(types=types, places=places, before=before & ~(1 << places[name]), around=self._around)
            for name, before in zip(types, graph.before(), strict=True)
        }

    def _check_node(self, index: int, node: Mapping[str, Any], see: Visible) -> None:
        node_type, config = self._registry.get(str(node.get("type"))), node.get("config", {})
        if node_type is None or not isinstance(config, Mapping):
            return
        at = f"{self._at}/nodes/{index}/config"
        if check_config(self._checked, config, at, node_type, see):
            self._sound.add(node["id"])
        self._note_references(config, at)
        body = config.get(BODY)
        if not (has_body(node_type) and isinstance(body, Mapping)):
            return
        if self._depth == DEEPEST_BODY:
            self._checked.fault("too_deep", f"{at}/{BODY}", f"Bodies stand in one another up to {DEEPEST_BODY} deep.")
            return
        _Frame(self._checked, self._registry, body, f"{at}/{BODY}", see, self._count, self._depth + 1).check()

    def _note_references(self, config: Mapping[str, Json], at: str) -> None:
        holders: list[tuple[str, Any]] = [(at, config)]
        tools = config.get("tools")
        if isinstance(tools, list):
            holders += [(f"{at}/tools/{index}", tool) for index, tool in enumerate(tools)]
        for place, holder in holders:
            for name, kind in (("collection", "collection"), ("flow_id", "flow")):
                value = holder.get(name) if isinstance(holder, Mapping) else None
                if isinstance(value, str) and "{{" not in value and "{%" not in value:
                    reference = Reference(kind=kind, name=value, pointer=f"{place}/{name}")
                    self._checked.references.append(reference)

    def _check_edges(self, edges: list[tuple[int, Mapping[str, Any]]], seen: Mapping[str, Visible]) -> None:
        known: dict[tuple[str, str, str | None], int] = {}
        for index, edge in edges:
            source, target, condition = edge["source"], edge["target"], edge.get("condition")
            at = f"/edges/{index}"
            if condition is not None and not isinstance(condition, str):
                continue
            first = known.setdefault((source, target, condition), index)
            if first != index:
                self._fault("duplicate_edge", at, f"This is the same edge as /edges/{first}.")
            if self._type_name(target) == _INPUT:
                self._fault(
                    "type_mismatch", f"{at}/target", "Nothing leads to an input node: it is where a flow starts."
                )
            if self._type_name(source) == _OUTPUT and condition != ERROR_PORT:
                self._fault("type_mismatch", f"{at}/source", "Nothing leads on from an output node.")
            if condition is not None and condition != ERROR_PORT:
                self._check_condition(at, source, condition, seen[source])

    def _check_condition(self, at: str, source: str, condition: str, see: Visible) -> None:
        node_type = self._type(source)
        if node_type is None:
            return
        try:
            ports = node_type.ports(self._nodes[source][1].get("config", {}))
        except (KeyError, TypeError, ValueError, AttributeError):  # a configuration that is faulty, and told to be
            return
        if not ports:
            check_condition(self._checked, condition, f"{self._at}{at}/condition", see.after(source))
        elif condition not in ports and source in self._sound:
            has = ", ".join(sorted(ports | {ERROR_PORT}))
            self._fault("unknown_port", f"{at}/condition", f"{source!r} has no such port; it has {has}.")

    def _type_name(self, name: str) -> Any:
        return self._nodes[name][1].get("type")

    def _type(self, name: str) -> CheckedType | None:
        return self._registry.get(str(self._type_name(name)))

    def _place(self, name: str) -> str:
        return f"/nodes/{self._nodes[name][0]}"

    def _fault(self, code: str, pointer: str, message: str) -> None:
        self._checked.fault(code, f"{self._at}{pointer}", message)
