"""Node types for tests of flows: they can be checked, and are never run."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from server.agents.flow.definition import Json
from server.agents.nodes.base import Effect, NodeConfig, NodeType, Outcome, Registry, SecretReference, Step

_Condition = Annotated[str, Field(json_schema_extra={"format": "cel"})]


class _Input(NodeConfig):
    pass


class _Text(NodeConfig):
    text: Any = None


class _Http(NodeConfig):
    url: str = Field(min_length=1, max_length=100)
    retries: int = Field(1, ge=1, le=5)
    token: str | SecretReference | None = None


class _Retrieve(NodeConfig):
    query: str
    collection: str | None = None
    limit: int = 5


class _If(NodeConfig):
    when: _Condition


class _Case(NodeConfig):
    name: str
    when: _Condition


class _Switch(NodeConfig):
    cases: list[_Case]


class _Map(NodeConfig):
    items: str | list[Any]
    body: dict[str, Any] | None = None
    flow_id: str | None = None
    mode: Literal["fail", "collect"] = "fail"


class FakeType:
    """One type, from the facts that a check asks for."""

    title: ClassVar[str] = "Fake"
    description: ClassVar[str] = "Does nothing."
    effect: ClassVar[Effect] = Effect.PURE

    def __init__(
        self,
        name: str,
        config_model: type[NodeConfig],
        *,
        raw: frozenset[str] = frozenset(),
        ports: frozenset[str] = frozenset(),
        output: Mapping[str, Json] | None = None,
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.config_model = config_model
        self.raw_fields = raw  # type: ignore[misc]
        self.output_schema = output or {}  # type: ignore[misc]
        self._ports = ports

    name: ClassVar[str]
    raw_fields: ClassVar[frozenset[str]]
    output_schema: ClassVar[Mapping[str, Json]]

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        cases = config.get("cases")
        if isinstance(cases, list):
            return frozenset({"default", *(str(case["name"]) for case in cases if isinstance(case, dict))})
        return self._ports

    async def run(self, step: Step[Any]) -> Outcome:
        raise NotImplementedError


_ANSWER: Mapping[str, Json] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
    "additionalProperties": False,
}


def fake_registry() -> Registry:
    types: list[NodeType[Any]] = [
        FakeType("input", _Input),
        FakeType("output", _Text),
        FakeType("template", _Text),
        FakeType("http", _Http, output=_ANSWER),
        FakeType("retrieve", _Retrieve, output={"type": "array"}),
        FakeType("condition", _If, raw=frozenset({"when"}), ports=frozenset({"true", "false"})),
        FakeType("switch", _Switch, raw=frozenset({"cases"})),
        FakeType("map", _Map, raw=frozenset({"body"}), output={"type": "array"}),
    ]
    return {each.name: each for each in types}
