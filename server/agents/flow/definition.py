"""The frozen vocabulary of flows: nodes, edges, a definition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Where every node leads that failed beyond its retries: an edge of this condition is its fallback.
ERROR_PORT = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`config` is as the flow's author wrote it: templates and secret references are still to be read."""

    id: str
    type: str
    config: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From one node to another. `condition` names a port of the source, or is an expression; None: always."""

    source: str
    target: str
    condition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What one version of a flow does; also the body of a map or a loop."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
