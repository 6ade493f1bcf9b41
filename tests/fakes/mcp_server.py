"""An MCP server by the official package, on loopback, that writes down what its tools are called with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


@dataclass(slots=True)
class McpSite:
    """`statuses` are answered first, one a request; without `token` everybody is let in."""

    port: int = 0
    token: str | None = None
    statuses: list[int] = field(default_factory=list)
    called: list[tuple[str, dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


def _server(site: McpSite) -> MCPServer:
    server = MCPServer("fake")

    def note(name: str, arguments: dict[str, Any], context: Any) -> None:
        site.called.append((name, arguments, dict(context.request_context.meta or {})))

    @server.tool()
    async def add(a: int, b: int, ctx: Context) -> int:
        """Add two numbers."""
        note("add", {"a": a, "b": b}, ctx)
        return a + b

    @server.tool()
    async def echo(text: str, ctx: Context) -> str:
        """Say it again."""
        note("echo", {"text": text}, ctx)
        return text

    @server.tool()
    async def slow(seconds: float, ctx: Context) -> str:
        """Take its time."""
        note("slow", {"seconds": seconds}, ctx)
        site.at_once += 1
        site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            await asyncio.sleep(seconds)
        finally:
            site.at_once -= 1
        return "done"

    @server.tool()
    async def breaks(ctx: Context) -> str:
        """Fail."""
        note("breaks", {}, ctx)
        raise ToolError("the drawer is jammed")

    @server.tool()
    async def whoami(ctx: Context) -> str:
        """Say back what the caller proved itself with, as a careless server does."""
        note("whoami", {}, ctx)
        return f"You are {(ctx.headers or {}).get('authorization')}."

    @server.tool()
    async def long(ctx: Context) -> str:
        """Answer with more than anybody wants."""
        return "x" * (3 * 1024 * 1024)

    return server


@asynccontextmanager
async def mcp_site(*, token: str | None = None, statuses: list[int] | None = None) -> AsyncIterator[McpSite]:
    site = McpSite(token=token, statuses=statuses or [])
    inner = _server(site).streamable_http_app(stateless_http=True)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        request = Request(scope)
        site.headers.append(dict(request.headers))
        said: Response | None = None
        if site.statuses:
            said = PlainTextResponse("no", site.statuses.pop(0))
        elif site.token is not None and request.headers.get("authorization") != f"Bearer {site.token}":
            said = PlainTextResponse("who are you?", 401)
        await (said or inner)(scope, receive, send)

    serving = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", ws="none"))
    task = asyncio.create_task(serving.serve())
    while not serving.started:
        assert not task.done()
        await asyncio.sleep(0.01)
    site.port = serving.servers[0].sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        serving.should_exit = serving.force_exit = True
        await task
