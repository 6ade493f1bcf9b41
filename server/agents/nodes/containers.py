"""map, loop, subflow: nodes that run other nodes. The executor runs them; here is what they may be told."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, NodeFailed, Step
from server.agents.nodes.condition import checked_condition
from server.agents.nodes.ports import Portless

_MOST_CONCURRENT = 64
_MOST_ITERATIONS = 10_000
_HIGHEST_VERSION = 2**31 - 1


class BodyNode(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=255)
    type: str = Field(min_length=1, max_length=40)
    config: dict[str, Any] = {}


class BodyEdge(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    target: str
    condition: str | None = None


class Body(BaseModel):
    """A flow inside of a node. Its nodes see `item` and `index` besides all that the node sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nodes: list[BodyNode] = Field(min_length=1)
    edges: list[BodyEdge] = []


class MapConfig(NodeConfig):
    items: Any = Field(description="A list, or a template that comes to one.")
    body: Body | None = Field(None, description="What runs for each item, as `item`.")
    flow_id: str | None = Field(None, description="Or the flow that runs for each item, as its input.")
    version: int | None = Field(None, ge=1, le=_HIGHEST_VERSION, description="Its version; the published one if none.")
    max_concurrency: int = Field(8, ge=1, le=_MOST_CONCURRENT, description="How many run at once.")
    on_item_error: str = Field(
        "fail",
        pattern="^(fail|collect)$",
        description='fail: one that fails fails the node; collect: its place in the output has {"error": …}.',
    )

    @model_validator(mode="after")
    def _runs_one_thing(self) -> Self:
        if (self.body is None) is (self.flow_id is None):
            raise ValueError("A map has a `body` or a `flow_id`.")
        return self


class LoopConfig(NodeConfig):
    body: Body = Field(description="What runs each turn; `item` is what the turn before came to.")
    initial: Any = Field(None, description="`item` of the first turn.")
    while_: str | None = Field(
        None,
        alias="while",
        description="A CEL expression over `output` of the turn, asked after it: whether to go on.",
        json_schema_extra={"format": "cel"},
    )
    max_iterations: int = Field(
        100, ge=1, le=_MOST_ITERATIONS, description="It ends after so many turns at the latest."
    )

    @field_validator("while_")
    @classmethod
    def _is_condition(cls, text: str | None) -> str | None:
        return None if text is None else checked_condition(text)


class SubflowConfig(NodeConfig):
    flow_id: str = Field(min_length=1, max_length=255)
    version: int | None = Field(None, ge=1, le=_HIGHEST_VERSION, description="The published one if none.")
    input: Any = Field(None, description="The input of the flow that runs.")


class _Container(Portless):
    effect: ClassVar[Effect] = Effect.PURE
    output_schema: ClassVar[Mapping[str, Json]] = {}

    async def run(self, step: Step[Any]) -> Done:
        raise NodeFailed("A node that runs other nodes is run by the executor.", code="INTERNAL_ERROR")


class Map(_Container):
    name: ClassVar[str] = "map"
    title: ClassVar[str] = "Map"
    description: ClassVar[str] = "Runs a body or a flow for every item of a list, so many at once."
    config_model = MapConfig
    output_schema: ClassVar[Mapping[str, Json]] = {"type": "array", "description": "Results in the order of the items."}
    raw_fields: ClassVar[frozenset[str]] = frozenset({"body"})


class Loop(_Container):
    name: ClassVar[str] = "loop"
    title: ClassVar[str] = "Loop"
    description: ClassVar[str] = "Runs its body again for as long as a condition holds; the output is the last turn's."
    config_model = LoopConfig
    raw_fields: ClassVar[frozenset[str]] = frozenset({"body", "while"})


class Subflow(_Container):
    name: ClassVar[str] = "subflow"
    title: ClassVar[str] = "Subflow"
    description: ClassVar[str] = "Runs another flow as a part of this execution; the output is its result."
    config_model = SubflowConfig
