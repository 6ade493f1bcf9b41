"""Models asked by the official package over the one way out: what goes, what comes, and what does not."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from core.clock import FrozenClock
from core.errors import ServiceUnavailable
from core.ids import TenantId
from server.agents.executor.journal import Completed, Ending, Failed
from server.agents.executor.memory import MemoryJournal
from server.agents.flow.validation import check
from server.agents.nodes.llm import Llm
from server.agents.nodes.registry import build_registry
from server.llm.base import EndpointBlocked, Message, ToolCall, ToolOffer, Usage
from server.llm.breaker import FAILURES_IN_A_ROW
from server.llm.endpoints import Endpoints
from server.llm.openai import Endpoint, OpenAIChat
from stores.egress import Allowance, Egress
from tests.factories.flows import flow, run_flow
from tests.fakes.model_server import COMPLETIONS, model_site, streamed
from tests.fakes.website import answer, website

ASKED = [Message(role="user", content="Hi")]


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """One that may go to 127.0.0.1 only, where servers of tests are."""
    out = Egress(allow=Allowance.of(["127.0.0.1"]))
    yield out
    await out.close()


async def no_wait(_seconds: float) -> None:
    return None


async def all_of(model: OpenAIChat, **more: Any) -> list[Any]:
    return [piece async for piece in model.say(ASKED, max_tokens=7, **more)]


async def test_words_and_calls_come_whole(egress: Egress) -> None:
    """Words as they come; a call when all of its arguments are there; tools and their answers go as OpenAI has it."""
    async with model_site(lambda _: ("Hello there", [("add", {"a": 1}), ("add", {"a": 2})])) as site:
        model = OpenAIChat("m", Endpoint(base_url=f"{site.url}/v1", model="q", api_key="sk-1"), egress)
        offer = ToolOffer(name="add", description="Adds.", parameters={"type": "object"})
        pieces = await all_of(model, tools=[offer])
        assert "".join(each for each in pieces if isinstance(each, str)) == "Hello there"
        first, second = (each for each in pieces if isinstance(each, ToolCall))
        assert (first, second.arguments) == (ToolCall(id="c0", name="add", arguments='{"a": 1}'), '{"a": 2}')
        assert pieces.count(Usage(prompt_tokens=10, completion_tokens=5)) == 1
        talk = [*ASKED, Message(role="assistant", content="", tool_calls=(first,))]
        talk.append(Message(role="tool", content="3", tool_call_id="c0"))
        assert [piece async for piece in model.say(talk, max_tokens=7)]
    one, two = (json.loads(each.body) for each in site.asked)
    assert one["tools"][0]["function"] == {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
    assert (one["model"], one["max_tokens"], one["stream"]) == ("q", 7, True)
    assert two["messages"][1]["tool_calls"][0]["function"]["name"] == "add"
    assert two["messages"][2] == {"role": "tool", "content": "3", "tool_call_id": "c0"}


@pytest.mark.parametrize("key", ["sk-ours", None])
async def test_environment_of_the_operator_stays_here(
    egress: Egress, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    """What the package reads from it by itself is no business of somebody's endpoint."""
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", f"leaked-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Leaked: leaked-header\nAuthorization: leaked-too")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with model_site(lambda _: ("Hi", [])) as site:
        await all_of(OpenAIChat("m", Endpoint(base_url=f"{site.url}/v1", model="q", api_key=key), egress))
    [asked] = site.asked
    assert "leaked" not in str(asked)
    assert asked.headers.get("authorization") == (f"Bearer {key}" if key else None)


async def test_model_that_fails_is_left_alone(egress: Egress) -> None:
    """Tried three times where that may help, and not at all once the breaker is open."""
    async with website({COMPLETIONS: answer("busy", 503)}) as site:
        model = OpenAIChat("m", Endpoint(base_url=f"{site.url}/v1", model="q"), egress, sleep=no_wait)
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(ServiceUnavailable):
                await all_of(model)
        assert len(site.asked) == 3 * FAILURES_IN_A_ROW
        with pytest.raises(ServiceUnavailable, match="left alone"):
            await all_of(model)
        assert len(site.asked) == 3 * FAILURES_IN_A_ROW


async def test_endpoint_inside_is_not_reached_and_breaks_nothing(egress: Egress) -> None:
    async with website(host="127.0.0.2") as canary:
        endpoint = Endpoint(base_url=f"http://127.0.0.2:{canary.port}/v1", model="q", api_key="sk-1")
        model = OpenAIChat("m", endpoint, egress, sleep=no_wait)
        for _ in range(FAILURES_IN_A_ROW + 1):
            with pytest.raises(EndpointBlocked):
                await all_of(model)
    assert canary.connections == 0


async def test_tenants_have_breakers_of_their_own(egress: Egress) -> None:
    endpoints = Endpoints(egress)
    async with website({COMPLETIONS: answer("no", 401)}) as site:
        endpoint = Endpoint(base_url=f"{site.url}/v1", model="q")
        for _ in range(FAILURES_IN_A_ROW):
            with pytest.raises(ServiceUnavailable):
                await all_of(cast(OpenAIChat, endpoints.model(TenantId("a"), endpoint)))
        with pytest.raises(ServiceUnavailable, match="left alone"):
            await all_of(cast(OpenAIChat, endpoints.model(TenantId("a"), endpoint)))
        with pytest.raises(ServiceUnavailable, match="settings"):
            await all_of(cast(OpenAIChat, endpoints.model(TenantId("b"), endpoint)))


async def ran(egress: Egress, config: dict[str, Any], **more: Any) -> Ending:
    node = Llm({}, cast(Any, None), Endpoints(egress))
    return await run_flow(flow({"n": ("llm", {"prompt": "Hi", **config})}), registry={"llm": node}, **more)


async def test_node_names_its_endpoint_and_secret(egress: Egress) -> None:
    """The key goes to the host that the secret is for, and nowhere else; what it costs is counted."""
    journal = MemoryJournal(FrozenClock().now)
    async with website({COMPLETIONS: streamed("Hello there")}) as site:
        config = {"base_url": f"{site.url}/v1", "model": "big", "api_key": {"$secret": "k"}}
        ending = await ran(egress, config, journal=journal, secrets={"k": ("sk-9", "127.0.0.1")})
        assert isinstance(ending, Completed), ending
        assert ending.result == {"text": "Hello there", "model": "big"}
        assert site.asked[0].headers["authorization"] == "Bearer sk-9"
        assert (journal.usage.prompt_tokens, journal.usage.calls) == (10, 1)
        refused = await ran(egress, config, secrets={"k": ("sk-9", "api.example.com")})
        assert isinstance(refused, Failed)
        assert refused.fault.code == "FORBIDDEN"
        assert len(site.asked) == 1
    blocked = await ran(egress, {"base_url": "http://127.0.0.2:8080/v1", "model": "big"})
    assert isinstance(blocked, Failed)
    assert blocked.fault.code == "EGRESS_BLOCKED"


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"base_url": "https://{{ input }}/v1"}, "/nodes/0/config/base_url"),
        ({"base_url": "file:///etc/passwd"}, "/nodes/0/config/base_url"),
        ({"api_key": {"$secret": "k"}}, "/nodes/0/config"),
        ({"base_url": "https://a.example/v1", "api_key": "sk-in-the-open"}, "/nodes/0/config/api_key"),
    ],
)
def test_malformed_endpoint_is_a_fault_of_validation(config: dict[str, Any], pointer: str) -> None:
    checked = check(flow({"n": ("llm", {"prompt": "x", **config})}), build_registry(clock=FrozenClock()))
    assert [each.pointer for each in checked.faults] == [pointer], checked.faults
