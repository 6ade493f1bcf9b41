"""tool: one call of a tool of an MCP server, through the guarded way out."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, Done, Effect, NodeConfig, Step, Usage
from server.agents.nodes.headers import Headers, sent
from server.agents.nodes.http import host_of, is_literal
from server.agents.nodes.mcp_session import called, session
from server.agents.nodes.ports import Portless
from stores.egress import Egress

_MOST_URL_CHARACTERS = 4_000


ServerUrl = Annotated[
    str,
    Field(min_length=1, max_length=_MOST_URL_CHARACTERS, description="Where it speaks MCP over streamable HTTP."),
    AfterValidator(is_literal),
]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]{1,128}$")]


class ToolConfig(NodeConfig):
    server: ServerUrl
    tool: ToolName = Field(description="Its name on that server; whether there is one shows when it is called.")
    arguments: dict[str, Any] = Field({}, description="What the tool is given.")
    headers: Headers = Field({})


class Tool(Portless):
    name: ClassVar[str] = "tool"
    title: ClassVar[str] = "MCP tool"
    description: ClassVar[str] = (
        "Calls a tool of an MCP server. The call carries the step's key in `_meta` as `codexos/idempotency-key`, the "
        "same for every attempt."
    )
    effect: ClassVar[Effect] = Effect.CALL
    config_model = ToolConfig
    output_schema: ClassVar[Mapping[str, Json]] = {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What it answers in text."},
            "structured": {"description": "What it answers in JSON, or null."},
            "content": {"type": "array", "description": "All it answers, as MCP writes it."},
        },
    }
    raw_fields: ClassVar[frozenset[str]] = frozenset({"server", "tool"})

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def run(self, step: Step[ToolConfig]) -> Done:
        return Done(output=await step.call("call", lambda key: self._called(step, key)))

    async def _called(self, step: Step[ToolConfig], key: str) -> Called:
        config = step.config
        headers = await sent(step, config.headers, host_of(config.server) or "")
        async with session(self._egress, config.server, headers, config.timeout_seconds) as client:
            return Called(result=await called(client, config.tool, config.arguments, key), usage=Usage(calls=1))
