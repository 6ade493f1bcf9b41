"""condition: one of two ways."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from server.agents.flow import conditions
from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step

PORTS = frozenset({"true", "false"})


class ConditionConfig(NodeConfig):
    expression: str = Field(
        min_length=1,
        max_length=conditions.MOST_CHARACTERS,
        description="A CEL expression over input, context, nodes and output, which is what led here.",
        json_schema_extra={"format": "cel"},
    )

    @field_validator("expression")
    @classmethod
    def _is_condition(cls, text: str) -> str:
        return checked_condition(text)


def checked_condition(text: str) -> str:
    """Raises ValueError with a sentence for the flow's author."""
    wrong = conditions.fault(text)
    if wrong is not None:
        raise ValueError(wrong)
    return text


def decided(text: str, step: Step[NodeConfig]) -> bool:
    """Whether a condition holds where `step` runs. Raises CodexError."""
    scope = dict(step.scope)
    if len(step.inputs) == 1:
        scope["output"] = step.inputs[0]
    return conditions.holds(text, scope)


class Condition:
    name: ClassVar[str] = "condition"
    title: ClassVar[str] = "Condition"
    description: ClassVar[str] = "Leaves by `true` or by `false`, as its expression says."
    effect: ClassVar[Effect] = Effect.PURE
    config_model = ConditionConfig
    output_schema: ClassVar[Mapping[str, Json]] = {"type": "boolean"}
    raw_fields: ClassVar[frozenset[str]] = frozenset({"expression"})

    def ports(self, config: Mapping[str, Json]) -> frozenset[str]:
        return PORTS

    async def run(self, step: Step[ConditionConfig]) -> Done:
        holds = decided(step.config.expression, step)
        return Done(output=holds, port="true" if holds else "false")
