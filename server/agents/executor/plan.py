"""A definition made ready to run: edges by node, what each sees, and which configurations never change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from server.agents.flow.definition import ERROR_PORT, Definition, Edge, Json, Node
from server.agents.nodes.base import Effect, NodeConfig, NodeFailed, NodeType, Registry

OUTPUT = "output"
INPUT = "input"


@dataclass(slots=True, kw_only=True, eq=False)
class Way:
    """An edge, and what decides about it: always, a port of its source, an expression, or the source's failure."""

    target: "PlannedNode"
    position: int  # among the edges that lead to the target
    port: str | None = None
    expression: str | None = None
    on_error: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class PlannedNode:
    node: Node
    type: "NodeType[Any]"
    order: int
    ways: list[Way]
    incoming: int = 0
    catches: bool = False  # whether a fallback edge leads out of it
    before: frozenset[str] = frozenset()  # every node that a path leads from to here
    fixed: NodeConfig | None = None  # the configuration, if no template is in it
    body: "Plan | None" = None

    @property
    def makes_calls(self) -> bool:
        return self.type.effect is Effect.CALL


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    nodes: tuple[PlannedNode, ...]
    starts: tuple[PlannedNode, ...]


def plan_of(definition: Definition, registry: Registry) -> Plan:
    """Raises NodeFailed for a definition that nobody validated."""
    planned = {node.id: _planned(node, order, registry) for order, node in enumerate(definition.nodes)}
    for edge in definition.edges:
        if edge.source not in planned or edge.target not in planned:
            raise NodeFailed("The flow has an edge that leads nowhere.", code="FLOW_INVALID")
        source, target = planned[edge.source], planned[edge.target]
        source.ways.append(_way(edge, source, target))
        target.incoming += 1
        source.catches = source.catches or edge.condition == ERROR_PORT
    _note_what_each_sees(planned, definition)
    nodes = tuple(planned.values())
    return Plan(nodes=nodes, starts=tuple(node for node in nodes if not node.incoming))


def _planned(node: Node, order: int, registry: Registry) -> PlannedNode:
    if node.type not in registry:
        raise NodeFailed(f"There is no node type {node.type!r}.", code="FLOW_INVALID")
    node_type = registry[node.type]
    # Only to a container is it a flow; a request has a body, too.
    body = node.config.get("body") if "body" in node_type.raw_fields else None
    return PlannedNode(
        node=node,
        type=node_type,
        order=order,
        ways=[],
        fixed=None if _has_templates(_rendered_part(node.config, node_type)) else config_of(node_type, node.config),
        # The body of a request is no flow.
        body=plan_of(definition_of(body), registry)
        if isinstance(body, dict) and "body" in node_type.raw_fields
        else None,
    )


def _rendered_part(config: Mapping[str, Json], node_type: "NodeType[Any]") -> Json:
    return {name: value for name, value in config.items() if name not in node_type.raw_fields}


def _has_templates(value: Json) -> bool:
    if isinstance(value, str):
        return "{{" in value or "{%" in value or "{#" in value
    if isinstance(value, list):
        return any(map(_has_templates, value))
    return isinstance(value, dict) and any(map(_has_templates, value.values()))


def config_of(node_type: "NodeType[Any]", config: Mapping[str, Json]) -> NodeConfig:
    """Raises NodeFailed for a configuration that is not of this type, naming the fields and no value."""
    try:
        return cast(NodeConfig, node_type.config_model.model_validate(dict(config)))
    except ValidationError as error:
        faults = "; ".join(f"{'/'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise NodeFailed(
            f"The configuration does not fit once its templates are filled in: {faults}.", code="NODE_CONFIG_INVALID"
        ) from None


def _way(edge: Edge, source: PlannedNode, target: PlannedNode) -> Way:
    way = Way(target=target, position=target.incoming)
    if edge.condition == ERROR_PORT:
        way.on_error = True
    elif edge.condition is not None and source.type.ports(source.node.config):
        way.port = edge.condition
    else:
        way.expression = edge.condition
    return way


def _note_what_each_sees(planned: Mapping[str, PlannedNode], definition: Definition) -> None:
    left = {name: node.incoming for name, node in planned.items()}
    ready = [name for name, count in left.items() if not count]
    before: dict[str, set[str]] = {name: set() for name in planned}
    seen = 0
    while ready:
        name = ready.pop()
        seen += 1
        planned[name].before = frozenset(before[name])
        for way in planned[name].ways:
            target = way.target.node.id
            before[target] |= before[name] | {name}
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    if seen < len(planned):
        raise NodeFailed("The flow goes round in a circle.", code="FLOW_INVALID")


def definition_of(value: Json) -> Definition:
    """Read nodes and edges out of JSON. Raises NodeFailed."""
    try:
        given = cast(dict[str, Any], value)
        nodes = tuple(
            Node(id=str(each["id"]), type=str(each["type"]), config=each.get("config") or {}) for each in given["nodes"]
        )
        edges = tuple(
            Edge(source=str(each["source"]), target=str(each["target"]), condition=each.get("condition"))
            for each in given.get("edges") or []
        )
    except (KeyError, TypeError, AttributeError):
        raise NodeFailed("This is no definition of a flow.", code="FLOW_INVALID") from None
    return Definition(nodes=nodes, edges=edges)
