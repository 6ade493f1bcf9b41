"""Tools of an MCP server that the official package serves: called once, and what comes in the way is told."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.clock import FrozenClock
from server.agents.executor.journal import Completed, Ending, Failed
from server.agents.executor.memory import MemoryJournal
from server.agents.flow.validation import check
from server.agents.nodes.registry import build_registry
from server.agents.nodes.tool import Tool
from stores.egress import Allowance, Egress
from tests.factories.flows import flow, run_flow
from tests.fakes.mcp_server import mcp_site
from tests.fakes.website import answer, redirect, website


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """One that may go to 127.0.0.1 only, where servers of tests are."""
    out = Egress(allow=Allowance.of(["127.0.0.1"]))
    yield out
    await out.close()


async def ran(egress: Egress, config: dict[str, Any], given: Any = None, **more: Any) -> Ending:
    definition = flow({"in": ("input", {}), "n": ("tool", config)}, ("in", "n"))
    return await run_flow(definition, given, registry={"tool": Tool(egress)}, **more)


async def came_to(egress: Egress, config: dict[str, Any], given: Any = None, **more: Any) -> Any:
    ending = await ran(egress, config, given, **more)
    assert isinstance(ending, Completed), ending
    return ending.result


async def fault_of(egress: Egress, config: dict[str, Any], **more: Any) -> tuple[str, str]:
    ending = await ran(egress, config, **more)
    assert isinstance(ending, Failed), ending
    return ending.fault.code, ending.fault.message


async def test_tool_is_called_once_with_its_key(egress: Egress) -> None:
    """Arguments are filled in with their types; the key is in `_meta`; after a crash nothing is called again."""
    journal = MemoryJournal(FrozenClock().now)
    async with mcp_site() as site:
        config = {"server": site.url, "tool": "add", "arguments": {"a": "{{ input.a }}", "b": 2}}
        result = await came_to(egress, config, {"a": 40}, journal=journal)
        assert (result["text"], result["structured"]) == ("42", {"result": 42})
        assert result["content"] == [{"type": "text", "text": "42"}]
        journal.outputs.clear()
        assert await came_to(egress, config, {"a": 40}, journal=journal) == result
        [(name, arguments, meta)] = site.called
    assert (name, arguments) == ("add", {"a": 40, "b": 2})
    assert len(meta["codexos/idempotency-key"]) == 64


async def test_secret_goes_to_its_host_and_no_other(egress: Egress) -> None:
    """Without it the server says 401; for another host nothing is sent at all."""
    header = {"Authorization": {"$secret": "k", "prefix": "Bearer "}}
    async with mcp_site(token="let-me-in") as site:
        config = {"server": site.url, "tool": "echo", "arguments": {"text": "hi"}}
        code, message = await fault_of(egress, config)
        assert code == "MCP_UNAUTHORIZED"
        assert "401" in message
        config["headers"] = header
        result = await came_to(egress, config, secrets={"k": ("let-me-in", "127.0.0.1")})
        assert result["text"] == "hi"
        before = len(site.headers)
        assert (await fault_of(egress, config, secrets={"k": ("let-me-in", "api.example.com")}))[0] == "FORBIDDEN"
        assert len(site.headers) == before


async def test_tool_that_fails_says_why(egress: Egress) -> None:
    async with mcp_site() as site:
        code, message = await fault_of(egress, {"server": site.url, "tool": "breaks"})
        assert code == "TOOL_FAILED"
        assert "jammed" in message
        code, message = await fault_of(egress, {"server": site.url, "tool": "other"})
        assert code == "TOOL_UNKNOWN"
        assert "add" in message
        wrong = {"server": site.url, "tool": "add", "arguments": {"a": "no number", "b": 1}}
        assert (await fault_of(egress, wrong))[0] == "TOOL_FAILED"
        assert (await fault_of(egress, {"server": site.url, "tool": "long"}))[0] == "EGRESS_FAILED"


async def test_server_that_is_busy_is_asked_again(egress: Egress) -> None:
    retry = {"attempts": 2, "delay_seconds": 0.0}
    # One answer to the look for the newer protocol, one to the older one's greeting.
    async with mcp_site(statuses=[503, 503]) as site:
        config = {"server": site.url, "tool": "echo", "arguments": {"text": "hi"}}
        code, _ = await fault_of(egress, config)
        assert code == "MCP_STATUS"
        site.statuses[:] = [503, 503]
        assert (await came_to(egress, {**config, "retry": retry}))["text"] == "hi"


async def test_fallback_edge_is_taken_when_nobody_answers(egress: Egress) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"
        assert (await fault_of(egress, {"server": url, "tool": "x"}))[0] == "EGRESS_FAILED"
        nodes = {"n": ("tool", {"server": url, "tool": "x"}), "else": ("template", {"template": "sorry"})}
        ending = await run_flow(flow(nodes, ("n", "else", "error")), registry={"tool": Tool(egress)})
    assert isinstance(ending, Completed), ending


async def test_server_inside_is_not_reached(egress: Egress) -> None:
    """Neither at once nor by a redirect, which is not followed to another origin."""
    async with website(host="127.0.0.2") as canary:
        inside = f"http://127.0.0.2:{canary.port}/mcp"
        assert (await fault_of(egress, {"server": inside, "tool": "x"}))[0] == "EGRESS_BLOCKED"
        async with website({"/mcp": redirect(inside, 307)}) as site:
            code, _ = await fault_of(egress, {"server": f"{site.url}/mcp", "tool": "x"})
        assert code == "MCP_STATUS"
        assert canary.connections == 0


@pytest.mark.parametrize(
    "said",
    [
        answer("hello"),
        answer("{}", content_type="application/json"),
        answer("data: x\n\n", content_type="text/event-stream"),
    ],
)
async def test_site_that_speaks_no_mcp_is_said_to(egress: Egress, said: bytes) -> None:
    async with website({"/mcp": said}) as site:
        code, _ = await fault_of(egress, {"server": f"{site.url}/mcp", "tool": "x"})
    assert code == "MCP_ERROR"


async def test_tool_that_takes_too_long_is_ended(egress: Egress) -> None:
    async with mcp_site() as site:
        config = {"server": site.url, "tool": "slow", "arguments": {"seconds": 30}, "timeout_seconds": 0.5}
        async with asyncio.timeout(10):
            code, _ = await fault_of(egress, config)
    assert code in ("NODE_TIMEOUT", "EGRESS_FAILED")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("server", "https://{{ input.host }}/mcp"),
        ("server", "https://a.example/{{ input.path }}"),
        ("server", "stdio:///bin/sh"),
        ("server", ""),
        ("tool", "{{ input.tool }}"),
        ("headers", {"Host": "b.example"}),
        ("headers", {"A": {"$secret": ""}}),
        ("arguments", "a=1"),
    ],
)
def test_malformed_tool_is_a_fault_of_validation(field: str, value: Any) -> None:
    """With a pointer to the field, before anything runs."""
    config = {"server": "https://a.example/mcp", "tool": "x", field: value}
    checked = check(flow({"n": ("tool", config)}), build_registry(clock=FrozenClock()))
    assert checked.faults
    assert all(each.pointer.startswith(f"/nodes/0/config/{field}") for each in checked.faults), checked.faults
