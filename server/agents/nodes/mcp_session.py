"""Talk to an MCP server over streamable HTTP by the official client, and say what came in the way in a node's words.

A session is opened for a call and ended behind it: what a server keeps for one must not outlive a crash of ours.
"""

import importlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from server.agents.flow.definition import Json
from server.agents.nodes.base import NodeFailed
from stores.egress import Egress, EgressFailed, Limits, Refused

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, RequestParamsMeta

    from stores.egress.transport import EgressTransport

# Where MCP has room for what neither side of the protocol knows: names of ours stand behind a prefix.
EFFECT_KEY = "codexos/idempotency-key"
_MOST_BYTES = 1024 * 1024
_MOST_SHOWN_CHARACTERS = 500
_MOST_PAGES = 20
_RETRIABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORISED = (401, 403)
_INVALID_PARAMS = -32602


class ToolUnknown(NodeFailed):
    """The server has no such tool."""


@asynccontextmanager
async def session(egress: Egress, url: str, headers: Mapping[str, str], seconds: float) -> AsyncIterator["Client"]:
    """Yield a client of the server at `url`. Raises NodeFailed for all that can go wrong with it."""
    # Both cost a second at start-up, and most processes never call a tool.
    mcp = importlib.import_module("mcp")
    streamable = importlib.import_module("mcp.client.streamable_http")
    outbound = importlib.import_module("stores.egress.transport")
    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it writes down what servers say, which may be anything
    limits = Limits(seconds=seconds, read_seconds=seconds, max_bytes=_MOST_BYTES, redirects=0)
    transport: EgressTransport = outbound.EgressTransport(egress, limits)
    sent = {"user-agent": egress.user_agent, **headers}
    try:
        async with outbound.outbound_client(transport, sent) as http:
            by = streamable.streamable_http_client(url, http_client=http)
            async with mcp.Client(by, read_timeout_seconds=seconds, cache=None) as client:
                yield client
    except Exception as error:
        raise _failure(error, transport) from error


async def tools_of(client: "Client") -> list[dict[str, Any]]:
    """Return name, description and JSON Schema of the server's tools, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += [
            {"name": each.name, "description": each.description or "", "schema": each.input_schema}
            for each in page.tools
        ]
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def called(client: "Client", tool: str, arguments: Mapping[str, Json], key: str) -> Json:
    """Return what the tool answers. Raises NodeFailed where it says that it failed."""
    errors = importlib.import_module("mcp.shared.exceptions")
    meta = cast("RequestParamsMeta", {EFFECT_KEY: key})  # its type names the protocol's own entries only
    try:
        result: CallToolResult = await client.call_tool(tool, dict(arguments), meta=meta)
    except errors.MCPError as error:
        if error.code == _INVALID_PARAMS:
            await _known(client, tool)
        raise
    if result.is_error:
        await _known(client, tool)
        raise NodeFailed(f"The tool failed: {_shown(_text(result)) or 'it does not say why.'}", code="TOOL_FAILED")
    return {
        "text": _text(result),
        "structured": result.structured_content,
        "content": [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in result.content],
    }


async def _known(client: "Client", tool: str) -> None:
    names = [each["name"] for each in await tools_of(client)]
    if tool not in names:
        shown = _shown(", ".join(sorted(names))) or "none"
        raise ToolUnknown(f"The server has no tool {tool!r}; it has: {shown}.", code="TOOL_UNKNOWN")


def _failure(error: Exception, transport: "EgressTransport") -> NodeFailed:
    """Return the one reason in what the client's tasks raised."""
    errors = importlib.import_module("mcp.shared.exceptions")
    reasons = list(_leaves(error))
    for reason in reasons:
        if isinstance(reason, NodeFailed):
            return reason
    refused = transport.failure or next((each for each in reasons if isinstance(each, EgressFailed)), None)
    if refused is not None:
        return NodeFailed(refused.message, code=refused.code, retriable=not isinstance(refused, Refused))
    status = transport.status
    if status in _UNAUTHORISED:
        message = f"The MCP server does not let us in (status {status}). Check the secret in `headers`."
        return NodeFailed(message, code="MCP_UNAUTHORIZED")
    said = next((each.message for each in reasons if isinstance(each, errors.MCPError)), "it does not speak MCP")
    if status is not None and status >= 300:
        message = f"The MCP server answered with status {status}."
        return NodeFailed(message, code="MCP_STATUS", retriable=status in _RETRIABLE)
    return NodeFailed(f"The MCP server refused: {_shown(said)}", code="MCP_ERROR")


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _text(result: "CallToolResult") -> str:
    return "\n".join(each.text for each in result.content if each.type == "text")


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN_CHARACTERS else text[:_MOST_SHOWN_CHARACTERS] + "…"
