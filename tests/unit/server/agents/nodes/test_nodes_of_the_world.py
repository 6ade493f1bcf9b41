"""Nodes that reach documents, models and other systems: what they ask for, and what they refuse to."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import pytest

from core.clock import FrozenClock
from core.errors import ServiceUnavailable, ValidationFailed
from server.agents.executor.journal import Completed, Ending, Failed
from server.agents.executor.memory import MemoryJournal
from server.agents.nodes.base import Registry
from server.agents.nodes.http import host_of
from server.agents.nodes.registry import World, build_registry
from server.llm.base import Message, Usage
from server.rag.queries.schemas import QueryAnswer, QueryRequest, QueryResult
from stores.egress import Received, Refused, Unreachable
from tests.factories.flows import flow, run_flow

INPUT = ("input", {})


class SaidTo:
    """Another system, a model and an index that write down what they are asked."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[Any] = []
        self._answers = list(answers)
        self.indexes = None

    async def fetch(self, url: str, **more: Any) -> Received:
        self.asked.append((url, more))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, content = answer
        return Received(url=url, status=status, headers={"content-type": "application/json"}, content=content)

    async def answer(self, owner: Any, request: QueryRequest) -> QueryAnswer:
        self.asked.append((owner, request))
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return QueryAnswer(results=answer, total=len(answer), query_time=0.1, index_version="g1.v1")

    async def say(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncIterator[str | Usage]:
        self.asked.append([(message.role, message.content) for message in messages])
        for piece in self._answers.pop(0):
            if isinstance(piece, Exception):
                raise piece
            yield piece


def types(said: SaidTo) -> Registry:
    world = World(
        answering=cast(Any, said), answers=cast(Any, said), models={"small": cast(Any, said)}, egress=cast(Any, said)
    )
    return build_registry(clock=FrozenClock(), world=world)


async def ran(said: SaidTo, kind: str, config: Mapping[str, Any], given: Any = None, **more: Any) -> Ending:
    return await run_flow(flow({"in": INPUT, "n": (kind, config)}, ("in", "n")), given, registry=types(said), **more)


async def came_to(said: SaidTo, kind: str, config: Mapping[str, Any], given: Any = None, **more: Any) -> Any:
    ending = await ran(said, kind, config, given, **more)
    assert isinstance(ending, Completed), ending
    return ending.result


async def code_of(said: SaidTo, kind: str, config: Mapping[str, Any], given: Any = None) -> str:
    ending = await ran(said, kind, config, given)
    assert isinstance(ending, Failed), ending
    return ending.fault.code


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example.com/a/{{ input.id }}", "api.example.com"),
        ("https://api.example.com?x={{ input.id }}", "api.example.com"),
        ("http://api.example.com:8080/", "api.example.com"),
        ("https://api.example.com", "api.example.com"),
        ("https://api.example.com{{ input.x }}", None),
        ("https://{{ input.host }}/a", None),
        ("https://api.{{ input.host }}/a", None),
        ("{{ input.url }}", None),
        ("https://api.example.com:{{ input.port }}/", None),
        ("https://user@evil.example.com/", "evil.example.com"),
        ("ftp://example.com/", None),
        ("//example.com/", None),
        ("https:///a", None),
        ("https://[::1]/", None),
        ("https://exa mple.com/", None),
        ("https://api.example.com\\{{ input.x }}", None),
    ],
)
def test_host_is_known_only_where_no_template_has_a_say(url: str, host: str | None) -> None:
    assert host_of(url) == host


async def test_request_is_sent_once_with_its_key() -> None:
    """JSON goes out and comes back; the key is the same after a crash, and the answer is not asked for again."""
    said = SaidTo((201, b'{"id": 7}'))
    config = {
        "method": "POST",
        "url": "https://api.example.com/orders/{{ input.n }}",
        "query": {"a": "b c", "n": "{{ input.n }}"},
        "headers": {"X-One": "{{ input.n }}!"},
        "body": {"n": "{{ input.n }}"},
    }
    journal = MemoryJournal(FrozenClock().now)
    result = await came_to(said, "http", config, {"n": 3}, journal=journal)
    assert result == {"status": 201, "headers": {"content-type": "application/json"}, "body": {"id": 7}}
    ((url, sent),) = said.asked
    assert url == "https://api.example.com/orders/3?a=b+c&n=3"
    assert (sent["method"], json.loads(sent["content"])) == ("POST", {"n": 3})
    assert sent["headers"]["x-one"] == "3!"
    assert len(sent["headers"]["idempotency-key"]) == 64
    assert await came_to(said, "http", config, {"n": 3}, journal=journal) == result
    assert len(said.asked) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((404, b"{}"), "HTTP_STATUS"),
        (Refused("No."), "EGRESS_BLOCKED"),
        (Unreachable("Nobody."), "EGRESS_FAILED"),
    ],
)
async def test_request_that_fails_says_how(answer: Any, code: str) -> None:
    assert await code_of(SaidTo(answer), "http", {"url": "https://api.example.com/"}) == code


async def test_request_is_tried_again_where_that_may_help() -> None:
    retry = {"attempts": 3, "delay_seconds": 0.0}
    said = SaidTo((503, b""), Unreachable("Nobody."), (200, b"not json"))
    assert (await came_to(said, "http", {"url": "https://a.example/", "retry": retry}))["body"] == "not json"
    said = SaidTo((400, b""), (200, b""))
    assert await code_of(said, "http", {"url": "https://a.example/", "retry": retry}) == "HTTP_STATUS"
    said = SaidTo((400, b"{}"))
    assert (await came_to(said, "http", {"url": "https://a.example/", "accept_errors": True}))["status"] == 400


@pytest.mark.parametrize(
    ("config", "given"),
    [
        ({"url": "{{ input }}", "allowed_hosts": ["good.example"]}, "https://evil.example/"),
        ({"url": "https://{{ input }}/", "allowed_hosts": ["good.example"]}, "good.example@evil.example"),
        ({"url": "https://{{ input }}", "allowed_hosts": ["good.example"]}, "good.example.evil.example"),
        ({"url": "https://good.example/", "allowed_hosts": ["other.example"]}, None),
    ],
)
async def test_host_that_a_document_names_is_not_called(config: dict[str, Any], given: Any) -> None:
    said = SaidTo()
    assert await code_of(said, "http", config, given) == "HOST_NOT_ALLOWED"
    assert said.asked == []


@pytest.mark.parametrize(
    "config",
    [
        {"url": "{{ input.url }}"},
        {"url": "https://a.example/", "headers": {"Host": "b.example"}},
        {"url": "https://a.example/", "headers": {"Transfer-Encoding": "chunked"}},
        {"url": "https://a.example/", "headers": {"X": "a\r\nY: b"}},
        {"url": "https://a.example/", "headers": {"X Y": "a"}},
        {"url": "https://a.example/", "method": "CONNECT"},
        {"url": "https://a.example/", "headers": {"A": {"$secret": ""}}},
    ],
)
async def test_request_that_could_be_another_is_refused(config: dict[str, Any]) -> None:
    said = SaidTo()
    with pytest.raises(Exception, match="does not fit"):
        raise AssertionError(await ran(said, "http", config, {"url": "https://a.example/"}))
    assert said.asked == []


async def test_secret_is_named_by_the_flow_and_by_nothing_else() -> None:
    """A template in its place is no key, so that no document can choose one."""
    said = SaidTo((200, b"{}"))
    config = {
        "url": "https://a.example/",
        "headers": {"Authorization": {"$secret": "{{ input }}", "prefix": "Bearer "}},
    }
    ending = await ran(said, "http", config, "other_key")
    assert isinstance(ending, Failed)
    assert ending.fault.code == "RESOURCE_NOT_FOUND"
    assert said.asked == []


async def test_passages_are_found_in_the_name_of_the_tenant() -> None:
    results = [QueryResult(content="A.", score=0.9, metadata={}), QueryResult(content="B.", score=0.2, metadata={})]
    said = SaidTo(results)
    config = {"query": "{{ input.q }}", "limit": 7, "filters": {"lang": "en"}, "min_score": 0.5}
    result = await came_to(said, "retrieve", config, {"q": "where?"})
    assert [each["content"] for each in result["results"]] == ["A."]
    ((owner, request),) = said.asked
    assert (owner.tenant_id, owner.scopes) == ("t", frozenset({"rag:read"}))
    assert (request.query, request.limit, request.filters) == ("where?", 7, {"lang": "en"})


async def test_question_that_cannot_be_asked_says_why() -> None:
    wrong = ValidationFailed("The request is not valid.", violations=[{"pointer": "/filters", "message": "no such"}])
    assert await code_of(SaidTo(wrong), "retrieve", {"query": "x"}) == "VALIDATION_ERROR"
    assert await code_of(SaidTo(), "retrieve", {"query": "x", "collection": "\x00"}) == "NODE_CONFIG_INVALID"


async def test_model_speaks_piece_by_piece() -> None:
    told: list[tuple[str, Mapping[str, Any]]] = []
    said = SaidTo(["Hel", "lo", Usage(prompt_tokens=5, completion_tokens=2)])
    journal = MemoryJournal(FrozenClock().now, lambda event, data: told.append((event, data)))
    config = {"model": "small", "system": "Be brief.", "prompt": "{{ input }}", "context": [{"content": "A fact."}]}
    assert await came_to(said, "llm", config, "Hi", journal=journal) == {"text": "Hello", "model": "small"}
    assert [data["delta"] for event, data in told if event == "node.delta"] == ["Hel", "lo"]
    (messages,) = said.asked
    assert [role for role, _ in messages] == ["system", "system", "user"]
    assert "A fact." in messages[1][1]
    assert (journal.usage.prompt_tokens, journal.usage.completion_tokens) == (5, 2)


async def test_model_that_does_not_answer_is_asked_again() -> None:
    retry = {"attempts": 2, "delay_seconds": 0.0}
    said = SaidTo(["Half", ServiceUnavailable("It stopped.")], ["Whole"])
    assert (await came_to(said, "llm", {"model": "small", "prompt": "x", "retry": retry}))["text"] == "Whole"
    said = SaidTo([ServiceUnavailable("It stopped.")])
    assert await code_of(said, "llm", {"model": "small", "prompt": "x"}) == "MODEL_UNAVAILABLE"
    assert await code_of(SaidTo(), "llm", {"model": "other", "prompt": "x"}) == "MODEL_UNKNOWN"
    assert await code_of(SaidTo(), "llm", {"prompt": "x"}) == "CONTEXT_MISSING"


async def test_process_without_the_world_lists_and_runs_nothing() -> None:
    registry = build_registry(clock=FrozenClock())
    ending = await run_flow(flow({"n": ("retrieve", {"query": "x"})}), registry=registry)
    assert isinstance(ending, Failed)
