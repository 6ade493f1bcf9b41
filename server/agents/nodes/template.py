"""template: text, or any JSON, filled in."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, Step
from server.agents.nodes.ports import Portless


class TemplateConfig(NodeConfig):
    template: Any = Field(
        description="Text or any JSON with `{{ … }}` in it. A string that is one `{{ … }}` keeps its value's type."
    )


class Template(Portless):
    name: ClassVar[str] = "template"
    title: ClassVar[str] = "Template"
    description: ClassVar[str] = "Puts together text or JSON from the input and the outputs of nodes before it."
    effect: ClassVar[Effect] = Effect.PURE
    config_model = TemplateConfig
    output_schema: ClassVar[Mapping[str, Json]] = {}

    async def run(self, step: Step[TemplateConfig]) -> Done:
        return Done(output=step.config.template)
