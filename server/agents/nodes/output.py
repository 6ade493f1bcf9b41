"""output: what an execution comes to."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step
from server.agents.nodes.ports import Portless


class OutputConfig(NodeConfig):
    value: Any = Field(
        None,
        description="The result, templates and all. Without it: what led here, as a list if several nodes did.",
    )


class Output(Portless):
    """Ends the flow. Of several, the result is that of the last, in the order of the definition, that ran."""

    name: ClassVar[str] = "output"
    title: ClassVar[str] = "Output"
    description: ClassVar[str] = "Ends the flow: its output is the result of the execution."
    effect: ClassVar[Effect] = Effect.PURE
    config_model = OutputConfig
    output_schema: ClassVar[Mapping[str, Json]] = {}

    async def run(self, step: Step[OutputConfig]) -> Done:
        if "value" in step.config.model_fields_set:
            return Done(output=step.config.value)
        return Done(output=step.inputs[0] if len(step.inputs) == 1 else list(step.inputs))
