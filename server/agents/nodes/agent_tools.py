"""What an agent's model may call: tools of MCP servers, flows of ours, and the tenant's documents."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import BaseModel, ConfigDict, Field

from core.errors import ApiError
from server.agents.flow.definition import Json
from server.agents.nodes.base import Called, NodeFailed, Step, Usage
from server.agents.nodes.headers import Headers, sent
from server.agents.nodes.http import host_of
from server.agents.nodes.mcp_session import called, session, tools_of
from server.agents.nodes.retrieve import reader, refused
from server.agents.nodes.tool import ServerUrl, ToolName
from server.llm.base import ToolCall, ToolOffer
from server.rag.queries.schemas import MAX_QUERY_CHARACTERS, QueryRequest
from server.rag.queries.service import Answering
from stores.egress import Egress

_LISTING_SECONDS = 30.0
_CALL_SECONDS = 60.0
# A model reads this much of what a tool answers; more would only push out what came before.
_MOST_CHARACTERS = 50_000
_OFFERED = re.compile(r"[^A-Za-z0-9_-]")
OfferedName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_QUERY = {
    "type": "object",
    "properties": {"query": {"type": "string", "description": "The question, or words to look for."}},
    "required": ["query"],
}


class _Tool(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class McpTools(_Tool):
    type: Literal["mcp"]
    server: ServerUrl
    allow: list[ToolName] = Field(min_length=1, max_length=100, description="The tools of it that may be called.")
    headers: Headers = Field({})
    timeout_seconds: float = Field(_CALL_SECONDS, gt=0, le=3600, description="For each call.")


class FlowTool(_Tool):
    type: Literal["flow"]
    name: OfferedName
    description: str = Field(max_length=2_000, description="What it is for, as the model is told.")
    flow_id: str = Field(min_length=1, max_length=255)
    version: int | None = Field(None, ge=1, le=2**31 - 1, description="The published one if none.")
    parameters: dict[str, Any] = Field({"type": "object"}, description="JSON Schema of the flow's input.")


class RetrieveTool(_Tool):
    type: Literal["retrieve"]
    name: OfferedName = "search"
    description: str = Field("Finds passages in the documents.", max_length=2_000)
    collection: str | None = Field(None, description="Without it, all of them.")
    limit: int = Field(5, ge=1, le=50, description="How many passages.")
    filters: dict[str, Any] | None = Field(None, description="By metadata, as in `POST /api/v1/rag/query`.")


ToolSource: TypeAlias = Annotated[McpTools | FlowTool | RetrieveTool, Field(discriminator="type")]
# Given the arguments and the journalled name of the call.
_Use = Callable[[dict[str, Json], str], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolbox:
    """What is offered to the model, and what each name stands for."""

    offers: Sequence[ToolOffer]
    uses: Mapping[str, _Use]

    async def use(self, wanted: ToolCall, name: str) -> str:
        """Return what the model is to read. What fails is told to it as well: it may know another way."""
        use = self.uses.get(wanted.name)
        if use is None:
            return _error(f"There is no tool {wanted.name[:100]!r}; there are: {', '.join(sorted(self.uses))}.")
        try:
            arguments = json.loads(wanted.arguments or "{}")
        except (ValueError, RecursionError):
            arguments = None
        if not isinstance(arguments, dict):
            return _error("The arguments are no JSON object.")
        text = await use(arguments, name)
        return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "\n[cut off here]"


async def toolbox(step: Step[Any], sources: Sequence[ToolSource], egress: Egress, answering: Answering) -> Toolbox:
    """Ask the servers what their tools take, once an execution. Raises NodeFailed where one is not to be had."""
    offers: list[ToolOffer] = []
    uses: dict[str, _Use] = {}

    def offer(name: str, description: str, parameters: Mapping[str, Any], use: _Use) -> None:
        if name in uses:
            raise NodeFailed(f"Two tools are called {name!r}.", code="NODE_CONFIG_INVALID")
        offers.append(ToolOffer(name=name, description=description, parameters=parameters))
        uses[name] = use

    for number, source in enumerate(sources):
        if isinstance(source, McpTools):
            listed = await step.call(f"tools/{number}", _listing(step, source, egress))
            for each in cast(list[dict[str, Any]], listed):
                name = _OFFERED.sub("_", each["name"])[:64]
                offer(name, each["description"], each["schema"], _of_server(step, source, each["name"], egress))
        elif isinstance(source, FlowTool):
            offer(source.name, source.description, source.parameters, _of_flow(step, source))
        else:
            offer(source.name, source.description, _QUERY, _of_documents(step, source, answering))
    return Toolbox(offers=offers, uses=uses)


def _listing(step: Step[Any], source: McpTools, egress: Egress) -> Callable[[str], Awaitable[Called]]:
    async def ask(_key: str) -> Called:
        headers = await sent(step, source.headers, host_of(source.server) or "")
        async with session(egress, source.server, headers, _LISTING_SECONDS) as client:
            found = {each["name"]: each for each in await tools_of(client)}
        if missing := [name for name in source.allow if name not in found]:
            raise NodeFailed(f"The server has no tool {missing[0]!r}.", code="TOOL_UNKNOWN")
        return Called(result=[found[name] for name in source.allow], usage=Usage(calls=1))

    return ask


def _of_server(step: Step[Any], source: McpTools, tool: str, egress: Egress) -> _Use:
    async def use(arguments: dict[str, Json], name: str) -> str:
        async def ask(key: str) -> Called:
            try:
                headers = await sent(step, source.headers, host_of(source.server) or "")
                async with session(egress, source.server, headers, source.timeout_seconds) as client:
                    answer = cast(dict[str, Json], await called(client, tool, arguments, key))
            except NodeFailed as error:
                return Called(result=_error(error.message), usage=Usage(calls=1))
            shown = answer["text"] or json.dumps(answer["structured"])
            return Called(result=shown, usage=Usage(calls=1))

        return str(await step.call(name, ask))

    return use


def _of_flow(step: Step[Any], source: FlowTool) -> _Use:
    async def use(arguments: dict[str, Json], name: str) -> str:
        try:
            result = await step.subflow(source.flow_id, source.version, arguments, name)
        except NodeFailed as error:
            return _error(error.message)
        return result if isinstance(result, str) else json.dumps(result)

    return use


def _of_documents(step: Step[Any], source: RetrieveTool, answering: Answering) -> _Use:
    async def use(arguments: dict[str, Json], name: str) -> str:
        query = arguments.get("query")
        if not isinstance(query, str) or not query.strip():
            return _error("`query` is text.")

        async def ask(_key: str) -> Called:
            asked = {"query": query[:MAX_QUERY_CHARACTERS], "limit": source.limit, "filters": source.filters}
            try:
                request = QueryRequest.model_validate({**asked, "collection": source.collection})
                found = await answering.answer(reader(step.tenant_id), request)
            except ApiError as error:
                if error.status >= 500:
                    raise refused(error) from error
                return Called(result=_error(refused(error).message))
            except ValueError:
                return Called(result=_error("This cannot be looked for."))
            passages = [f"[{place}] {each.content}" for place, each in enumerate(found.results, start=1)]
            return Called(result="\n\n".join(passages) or "Nothing was found.", usage=Usage(calls=1))

        return str(await step.call(name, ask))

    return use


def _error(message: str) -> str:
    return json.dumps({"error": message})
