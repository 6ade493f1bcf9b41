"""What may be wrong with a flow: one fault, where it is, and a code for programs; and what checks need to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from server.agents.flow.definition import Json


class CheckedType(Protocol):
    """What a check knows of a node type: part of the contract of the registry."""

    config_model: type[Any]
    output_schema: ClassVar[Mapping[str, Json]]
    raw_fields: ClassVar[frozenset[str]]

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowFault:
    """`pointer` is a JSON pointer (RFC 6901) into the object that has `nodes` and `edges`."""

    code: str
    pointer: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Something outside of the flow that it needs: a `secret`, a `collection` or a `flow`.

    Whether it is there is for others to find out.

    """

    kind: str
    name: str
    pointer: str


@dataclass(slots=True, kw_only=True)
class Checked:
    """All that came to light about a flow."""

    faults: list[FlowFault] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def fault(self, code: str, pointer: str, message: str) -> None:
        self.faults.append(FlowFault(code=code, pointer=pointer, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class Visible:
    """What a template or condition may speak of: the nodes before it, here and around, and in a body its item.

    `places` numbers the nodes of the graph it stands in; `before` has the bits of those whose output is known.
    """

    types: Mapping[str, CheckedType | None]
    places: Mapping[str, int]
    before: int
    around: "Visible | None" = None

    def sees(self, name: str) -> bool:
        return bool(self._bit(name) & self.before) or (self.around is not None and self.around.sees(name))

    def type_of(self, name: str) -> CheckedType | None:
        if self._bit(name) & self.before:
            return self.types[name]
        return None if self.around is None else self.around.type_of(name)

    def after(self, name: str) -> "Visible":
        """Return what is seen once this node has finished as well."""
        return replace(self, before=self.before | self._bit(name))

    def inside(self) -> "Visible":
        """Return what the nodes of a body see before any of them has finished."""
        return Visible(types={}, places={}, before=0, around=self)

    def fault_of(self, roots: frozenset[str], nodes: frozenset[str]) -> str | None:
        """Return what a text that speaks of these says wrong, in one sentence, or None."""
        if self.around is None and not roots.isdisjoint({"item", "index"}):
            return "Only what stands in the body of a map or loop has an item and its index."
        unseen = [name for name in sorted(nodes) if not self.sees(name)]
        return f"Nothing leads from a node {unseen[0][:100]!r} to here, so its output is not known." if unseen else None

    def _bit(self, name: str) -> int:
        return 1 << self.places[name] if name in self.places else 0


def escaped(name: str) -> str:
    """Return a name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def model_of(node_type: CheckedType) -> type[BaseModel]:
    model: type[BaseModel] = node_type.config_model
    return model
