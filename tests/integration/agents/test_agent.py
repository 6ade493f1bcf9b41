"""An agent whose model, tools and flows are real servers and real flows: what it calls, once, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest

from core.clock import FrozenClock
from server.agents.executor.journal import Completed, Ending, Failed, Parked
from server.agents.executor.memory import MemoryJournal
from server.agents.flow.validation import check
from server.agents.nodes.base import Called
from server.agents.nodes.registry import World, build_registry
from server.rag.queries.schemas import QueryAnswer, QueryResult
from stores.egress import Allowance, Egress
from tests.factories.flows import flow, run_flow
from tests.fakes.mcp_server import mcp_site
from tests.fakes.model_server import Said, model_site

SECRETS = {"model": ("sk-9", "127.0.0.1"), "mcp": ("let-me-in", "127.0.0.1")}


class Documents:
    """One passage, whatever is asked."""

    indexes = None

    def __init__(self, passage: str = "The dome opens at dusk.") -> None:
        self.passage = passage
        self.asked: list[Any] = []

    async def answer(self, owner: Any, request: Any) -> QueryAnswer:
        self.asked.append((owner, request))
        results = [QueryResult(content=self.passage, score=0.9, metadata={})]
        return QueryAnswer(results=results, total=1, query_time=0.1, index_version="g1.v1")


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """One that may go to 127.0.0.1 only, where servers of tests are."""
    out = Egress(allow=Allowance.of(["127.0.0.1"]))
    yield out
    await out.close()


def answers(body: Mapping[str, Any]) -> list[str]:
    """Return what tools have answered to a model so far."""
    return [each["content"] for each in body["messages"] if each["role"] == "tool"]


async def ran(egress: Egress, config: Mapping[str, Any], documents: Any = None, **more: Any) -> Ending:
    world = World(answering=documents or cast(Any, Documents()), answers=cast(Any, None), models={}, egress=egress)
    registry = build_registry(clock=FrozenClock(), world=world)
    node = {"model": "big", "prompt": "{{ input }}", "timeout_seconds": 20, **config}
    definition = flow({"in": ("input", {}), "n": ("agent", node)}, ("in", "n"))
    return await run_flow(definition, "Go.", registry=registry, secrets=SECRETS, **more)


async def came_to(*given: Any, **more: Any) -> Any:
    ending = await ran(*given, **more)
    assert isinstance(ending, Completed), ending
    return ending.result


async def code_of(*given: Any, **more: Any) -> str:
    ending = await ran(*given, **more)
    assert isinstance(ending, Failed), ending
    return ending.fault.code


def script(*turns: Said) -> Any:
    """A model that says these, by how often it has been asked within the conversation."""

    def thinks(body: dict[str, Any]) -> Said:
        return turns[sum(each["role"] == "assistant" for each in body["messages"])]

    return thinks


async def test_agent_calls_tools_until_it_has_an_answer(egress: Egress) -> None:
    """A tool of a server, a flow and the documents in one turn; their answers are what the model reads next."""
    turns = script(
        ("Let me see.", [("add", {"a": 40, "b": 2}), ("shout", {"text": "hi"}), ("search", {"query": "dome"})]),
        ("All done.", []),
    )
    shouting = flow({"in": ("input", {}), "t": ("template", {"template": "{{ input.text }}!"})}, ("in", "t"))
    told: list[tuple[str, Mapping[str, Any]]] = []
    journal = MemoryJournal(FrozenClock().now, lambda event, data: told.append((event, data)))
    documents = Documents()
    async with mcp_site(token="let-me-in") as site, model_site(turns) as model:
        config = {
            "base_url": f"{model.url}/v1",
            "api_key": {"$secret": "model"},
            "instructions": "Be brief.",
            "tools": [
                {
                    "type": "mcp",
                    "server": site.url,
                    "allow": ["add"],
                    "headers": {"Authorization": {"$secret": "mcp", "prefix": "Bearer "}},
                },
                {"type": "flow", "name": "shout", "description": "Shouts.", "flow_id": "f"},
                {"type": "retrieve", "collection": "guides"},
            ],
        }
        more = {"journal": journal, "flows": {"f": shouting}}
        result = await came_to(egress, config, documents, **more)
        assert result == {"text": "All done.", "model": "big", "turns": 2, "tool_calls": 3}
        bodies = [json.loads(each.body) for each in model.asked]
        assert [each["function"]["name"] for each in bodies[0]["tools"]] == ["add", "shout", "search"]
        first, second, third = answers(bodies[1])
        assert (first, json.loads(second) if second.startswith("{") else second) == ("42", "hi!")
        assert "opens at dusk" in third
        assert documents.asked[0][1].collection == "guides"
        assert documents.asked[0][0].tenant_id == "t"
        assert "".join(data["delta"] for event, data in told if event == "node.delta") == "Let me see.All done."
        assert (journal.usage.prompt_tokens, len(site.called)) == (20, 1)
        # After a crash at the very end nothing is asked or called again.
        del journal.outputs["n"]
        assert await came_to(egress, config, documents, **more) == result
        assert (len(model.asked), len(site.called), len(documents.asked)) == (2, 1, 1)


class Crash(BaseException):
    pass


class CrashingJournal(MemoryJournal):
    """Ends the process, so to say, right after the call of this number is written down."""

    left = 10**9

    def call(self, step: Any, name: str, called: Called) -> Any:
        result = super().call(step, name, called)
        self.left -= 1
        if self.left == 0:
            raise Crash
        return result


async def test_crash_after_any_call_repeats_none(egress: Egress) -> None:
    """Wherever it is killed between calls, every turn and every tool happens once, under one key."""
    turns = script(*[(f"Turn {n}", [("echo", {"text": f"{n}"})]) for n in range(3)], ("Done.", []))
    async with mcp_site() as site, model_site(turns) as model:
        tools = [{"type": "mcp", "server": site.url, "allow": ["echo"]}]
        config = {"base_url": f"{model.url}/v1", "tools": tools}
        journal = CrashingJournal(FrozenClock().now)
        for _ in range(8):  # the listing, four turns and three tools
            journal.left = 1
            with pytest.raises(Crash):
                await ran(egress, config, journal=journal)
        journal.left = 10**9
        assert (await came_to(egress, config, journal=journal))["turns"] == 4
        assert [arguments["text"] for _, arguments, _ in site.called] == ["0", "1", "2"]
        assert len({meta["codexos/idempotency-key"] for _, _, meta in site.called}) == 3
        assert len(model.asked) == 4


async def test_tools_of_a_turn_run_side_by_side_within_the_bound(egress: Egress) -> None:
    turns = script(("", [("slow", {"seconds": 0.2})] * 6), ("Done.", []))
    async with mcp_site() as site, model_site(turns) as model:
        tools = [{"type": "mcp", "server": site.url, "allow": ["slow"]}]
        await came_to(egress, {"base_url": f"{model.url}/v1", "tools": tools, "max_concurrency": 3})
        assert site.most_at_once == 3


async def test_what_fails_is_told_to_the_model(egress: Egress) -> None:
    """A tool that breaks, that there is not, that is not allowed, and arguments that are no JSON: it may try again."""
    wanted = [("breaks", {}), ("add", {"a": 1, "b": 1}), ("nothing", {}), ("echo", "{not json"), ("fails", {})]
    failing = flow({"in": ("input", {}), "h": ("http", {"url": "http://127.0.0.2:8080/"})}, ("in", "h"))
    async with mcp_site() as site, model_site(script(("", wanted), ("Sorry.", []))) as model:
        tools = [
            {"type": "mcp", "server": site.url, "allow": ["breaks", "echo"]},
            {"type": "flow", "name": "fails", "description": "Fails.", "flow_id": "f"},
        ]
        result = await came_to(egress, {"base_url": f"{model.url}/v1", "tools": tools}, flows={"f": failing})
        assert result["text"] == "Sorry."
        said = answers(json.loads(model.asked[1].body))
        assert ["error" in json.loads(each) for each in said] == [True] * 5
        assert "jammed" in said[0]
        assert "breaks, echo, fails" in said[1]
        assert [name for name, _, _ in site.called] == ["breaks"]


async def test_agent_that_has_no_end_fails_clearly(egress: Egress) -> None:
    """By turns or by tokens; the calls of the last turn, whose answers nobody would read, are not made."""
    async with mcp_site() as site, model_site(lambda _: ("", [("echo", {"text": "x"})])) as model:
        config = {"base_url": f"{model.url}/v1", "tools": [{"type": "mcp", "server": site.url, "allow": ["echo"]}]}
        assert await code_of(egress, {**config, "max_turns": 3}) == "MAX_TURNS"
        assert (len(model.asked), len(site.called)) == (3, 2)
        assert await code_of(egress, {**config, "max_total_tokens": 30}) == "TOKEN_BUDGET"
        assert len(model.asked) == 5


async def test_tool_that_the_server_lacks_fails_before_the_model_is_asked(egress: Egress) -> None:
    async with mcp_site() as site, model_site(lambda _: ("Hi", [])) as model:
        tools = [{"type": "mcp", "server": site.url, "allow": ["add", "gone"]}]
        assert await code_of(egress, {"base_url": f"{model.url}/v1", "tools": tools}) == "TOOL_UNKNOWN"
        assert model.asked == []


async def test_flow_that_waits_for_a_person_lets_the_agent_wait(egress: Egress) -> None:
    """The turn is not asked for again when the answer is there."""
    asking = flow({"in": ("input", {}), "h": ("human", {"prompt": "May I?"})}, ("in", "h"))
    journal = MemoryJournal(FrozenClock().now)
    async with model_site(script(("", [("ask", {})]), ("Thanks.", []))) as model:
        tools = [{"type": "flow", "name": "ask", "description": "Asks a person.", "flow_id": "f"}]
        config = {"base_url": f"{model.url}/v1", "tools": tools}
        parked = await ran(egress, config, journal=journal, flows={"f": asking})
        assert isinstance(parked, Parked), parked
        [path] = parked.paths
        journal.answer(path, {"yes": True})
        assert (await came_to(egress, config, journal=journal, flows={"f": asking}))["text"] == "Thanks."
        assert len(model.asked) == 2


async def test_cancelled_agent_stops_at_once(egress: Egress) -> None:
    async with mcp_site() as site, model_site(script(("", [("slow", {"seconds": 30})]))) as model:
        tools = [{"type": "mcp", "server": site.url, "allow": ["slow"]}]
        running = asyncio.create_task(ran(egress, {"base_url": f"{model.url}/v1", "tools": tools}))
        async with asyncio.timeout(10):
            while not site.at_once:
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


@pytest.mark.parametrize(
    ("config", "pointer"),
    [
        ({"model": "extractive"}, "/model"),
        ({"max_turns": 0}, "/max_turns"),
        ({"tools": [{"type": "stdio", "command": "sh"}]}, "/tools/0"),
        ({"tools": [{"type": "mcp", "server": "https://a.example/mcp", "allow": []}]}, "/tools/0/allow"),
        ({"tools": [{"type": "mcp", "server": "https://{{ input }}/", "allow": ["x"]}]}, "/tools/0/server"),
        ({"tools": [{"type": "flow", "name": "a b", "description": "", "flow_id": "f"}]}, "/tools/0/name"),
    ],
)
def test_malformed_agent_is_a_fault_of_validation(config: dict[str, Any], pointer: str) -> None:
    node = {"model": "big", "prompt": "x", **config}
    checked = check(flow({"n": ("agent", node)}), build_registry(clock=FrozenClock()))
    assert [each.pointer for each in checked.faults] == [f"/nodes/0/config{pointer}"], checked.faults
