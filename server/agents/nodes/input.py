"""input: where an execution begins, and what it may be given."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from server.agents.flow.definition import Json
from server.agents.flow.json_schema import fault, mismatch
from server.agents.nodes.base import Done, Effect, NodeConfig, NodeFailed, Step
from server.agents.nodes.ports import Portless


class InputConfig(NodeConfig):
    json_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="JSON Schema of the input. What is not so fails before anything else runs."
    )

    @field_validator("json_schema")
    @classmethod
    def _is_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        return checked_schema(schema)


def checked_schema(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """Raises ValueError with a sentence for the flow's author."""
    wrong = None if schema is None else fault(schema)
    if wrong is not None:
        raise ValueError(wrong)
    return schema


class Input(Portless):
    """The one node that a flow begins with."""

    name: ClassVar[str] = "input"
    title: ClassVar[str] = "Input"
    description: ClassVar[str] = "Begins the flow. Its output is what the execution was given as `input`."
    effect: ClassVar[Effect] = Effect.PURE
    config_model = InputConfig
    output_schema: ClassVar[Mapping[str, Json]] = {}
    raw_fields: ClassVar[frozenset[str]] = frozenset({"schema"})

    async def run(self, step: Step[InputConfig]) -> Done:
        given = step.scope["input"]
        wrong = None if step.config.json_schema is None else mismatch(given, step.config.json_schema)
        if wrong is not None:
            where = f" at {wrong.pointer}" if wrong.pointer else ""
            raise NodeFailed(f"The input is not what the flow asks for{where}: {wrong.message}", code="INPUT_INVALID")
        return Done(output=given)
