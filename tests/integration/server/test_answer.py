"""Questions are answered in words that the caller's own documents prove, with the real application over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.website import Asked, Website, answer, website
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.test_query import DOCUMENTS, INGEST

ANSWER = "/api/v1/rag/answer"
DOME = "The dome opens at dusk. Rain closes the dome at once. The keeper of the dome lives in the village."
SURE = {"threshold": 0}


async def post(api: Api, client: httpx.AsyncClient, source: str, **options: Any) -> str:
    accepted = await client.post(INGEST, json={"source_type": "text", "source": source, **options})
    assert accepted.status_code == 202, accepted.text
    await api.work()
    document_id: str = accepted.json()["document_id"]
    return document_id


async def ask(client: httpx.AsyncClient, query: str, **options: Any) -> dict[str, Any]:
    said = await client.post(ANSWER, json={"query": query, **options})
    assert said.status_code == 200, said.text
    body: dict[str, Any] = said.json()
    return body


def proven(body: dict[str, Any], texts: list[str]) -> bool:
    """Whether every citation's quote stands in one of `texts`, and its span in the answer is a piece of it."""
    return all(
        any(citation["quote"] in text for text in texts) and body["answer"][citation["start"] : citation["end"]].strip()
        for citation in body["citations"]
    )


async def test_the_answer_is_made_of_the_documents_own_sentences(api: Api, client: httpx.AsyncClient) -> None:
    """Each with its quote, and the best of them first."""
    document_id = await post(api, client, DOME, metadata={"source": "dome.md"})
    body = await ask(client, "When does the dome open? At dusk?", **SURE)
    assert (body["abstained"], body["reason"], body["model"]) == (False, None, "extractive")
    assert body["answer"].startswith("The dome opens at dusk.")
    assert proven(body, [DOME])
    first = body["citations"][0]
    assert (first["document_id"], first["source"]) == (document_id, "dome.md")
    assert first["quote"] == body["answer"][first["start"] : first["end"]] == "The dome opens at dusk."


async def test_what_the_documents_do_not_say_is_not_answered(api: Api, client: httpx.AsyncClient) -> None:
    """Nothing found, or nothing like it: the answer is empty, and says why."""
    nothing = await ask(client, "When does the dome open?")
    assert (nothing["answer"], nothing["citations"], nothing["abstained"]) == ("", [], True)
    await post(api, client, DOME)
    other = await ask(client, "Which enzymes split lactose?")
    assert (other["answer"], other["citations"], other["abstained"]) == ("", [], True)
    assert other["reason"] != nothing["reason"]


async def test_a_deleted_document_is_not_quoted(
    api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """From the answer to its deletion on; and by another tenant never."""
    document_id = await post(api, client, DOME)
    assert (await ask(stranger, "When does the dome open?", **SURE))["abstained"]
    assert (await client.delete(f"{DOCUMENTS}/{document_id}")).status_code == 202
    assert (await ask(client, "When does the dome open?", **SURE))["abstained"]


async def test_options_of_queries_hold_for_answers(api: Api, client: httpx.AsyncClient) -> None:
    """Filters choose the passages, and `explain` shows them."""
    await post(api, client, DOME, metadata={"site": "north"})
    await post(api, client, "The dome opens at noon.", metadata={"site": "south"})
    body = await ask(client, "When does the dome open?", filters={"site": "south"}, explain=True, **SURE)
    assert body["answer"] == "The dome opens at noon."
    assert [result["content"] for result in body["results"]] == ["The dome opens at noon."]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"model": "gpt"}, "/model"),
        ({"limit": 21}, "/limit"),
        ({"threshold": 2}, "/threshold"),
        ({"stream": 1}, "/stream"),
    ],
)
async def test_bad_options_are_told(client: httpx.AsyncClient, options: dict[str, Any], pointer: str) -> None:
    """A model that nobody set up, and what is out of bounds."""
    said = await client.post(ANSWER, json={"query": "Why?", **options})
    assert said.status_code == 400
    assert [fault["pointer"] for fault in said.json()["error"]["details"]["violations"]] == [pointer]


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return name and data of each event, checking that they are numbered from 1."""
    found = []
    for number, block in enumerate((block for block in text.split("\n\n") if block and block[0] != ":"), start=1):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert fields["id"] == str(number)
        found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_a_stream_tells_the_same(api: Api, client: httpx.AsyncClient) -> None:
    """Deltas joined are the answer, citations are its citations, and the end is what the other form returns."""
    await post(api, client, DOME)
    question = {"query": "When does the dome open and who keeps the dome?", **SURE}
    whole = await ask(client, **question)
    streamed = await client.post(ANSWER, json={**question, "stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert "x-ratelimit-remaining" in streamed.headers
    told = events(streamed.text)
    assert told[0][0] == "retrieved"
    assert told[-1][0] == "done"
    done = told[-1][1]
    assert {**done, "query_time": 0} == {**whole, "query_time": 0}
    assert "".join(data["text"] for name, data in told if name == "delta") == done["answer"]
    assert [data for name, data in told if name == "citation"] == done["citations"]


async def test_a_stream_that_cannot_begin_is_an_error_like_any_other(client: httpx.AsyncClient) -> None:
    """And one with a key is refused, because nothing of it is kept."""
    unknown = await client.post(ANSWER, json={"query": "Why?", "stream": True, "model": "gpt"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    keyed = await client.post(ANSWER, json={"query": "Why?", "stream": True}, headers={"idempotency-key": "k"})
    assert (keyed.status_code, keyed.json()["error"]["code"]) == (400, "VALIDATION_ERROR")


@asynccontextmanager
async def with_model(tmp_path: Path, url: str, site: Website) -> AsyncIterator[tuple[Api, httpx.AsyncClient]]:
    endpoints = {"small": {"base_url": f"{site.url}/v1", "model": "small-1", "api_key": "sk-test"}}
    async with running(settings_for(tmp_path, url, chat_endpoints=endpoints)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            await post(api, client, DOME)
            yield api, client


def says(*pieces: str, ends: bool = True) -> bytes:
    """Return a chat completion's stream of these pieces."""
    chunks = [{"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    if ends:
        chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 80, "completion_tokens": 12}})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + (["data: [DONE]\n\n"] if ends else [])
    return answer(": hello\n\n" + "".join(lines), content_type="text/event-stream")


async def test_a_model_answers_and_is_held_to_the_passages(tmp_path: Path, database_url: str) -> None:
    """It is asked with its key and the passages; what it cannot prove is left out, and its cost is told."""
    said = says("It opens at ", "dusk.[[1|opens at", " dusk]] It is blue.[[1|the dome is blue]] Rain closes it.",
                "[[1|Rain closes the dome]] Goodbye.")  # fmt: skip
    async with website({"/v1/chat/completions": said}) as site, with_model(tmp_path, database_url, site) as (_, client):
        body = await ask(client, "When does the dome open?", model="small")
        assert body["answer"] == "It opens at dusk. Rain closes it."
        assert [citation["quote"] for citation in body["citations"]] == ["opens at dusk", "Rain closes the dome"]
        assert proven(body, [DOME])
        assert body["usage"] == {"prompt_tokens": 80, "completion_tokens": 12}
        [asked] = site.asked
        assert asked.headers["authorization"] == "Bearer sk-test"
        assert json.loads(asked.body)["model"] == "small-1"
        assert DOME in json.loads(json.loads(asked.body)["messages"][1]["content"])["passages"][0]["text"]


@pytest.mark.parametrize("said", [says("NO_ANSWER"), says("It is blue."), says("Blue.[[1|it is all blue]]"), says()])
async def test_a_model_that_proves_nothing_abstains(tmp_path: Path, database_url: str, said: bytes) -> None:
    """Whatever it says instead."""
    async with website({"/v1/chat/completions": said}) as site, with_model(tmp_path, database_url, site) as (_, client):
        body = await ask(client, "When does the dome open?", model="small")
        assert (body["answer"], body["citations"], body["abstained"]) == ("", [], True)


@pytest.mark.parametrize(
    "said",
    [
        answer("no", 401),
        answer("data: {not json}\n\n", content_type="text/event-stream"),
        answer('data: {"error": {"message": "overloaded sk-test"}}\n\n', content_type="text/event-stream"),
        says("It opens at dusk.[[1|opens at dusk]]", ends=False),
        says("It opens at dusk.[[1|opens at dusk]]")[:-40],
    ],
)
async def test_a_model_that_fails_is_an_error_and_not_half_an_answer(
    tmp_path: Path, database_url: str, said: bytes
) -> None:
    """503 in one sentence that names no key; a stream that has begun ends with the same as an event."""
    async with website({"/v1/chat/completions": said}) as site, with_model(tmp_path, database_url, site) as (_, client):
        question = {"query": "When does the dome open?", "model": "small"}
        failed = await client.post(ANSWER, json=question)
        assert (failed.status_code, failed.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert "sk-test" not in failed.text
        name, data = events((await client.post(ANSWER, json={**question, "stream": True})).text)[-1]
        assert (name, data["error"]["code"]) == ("error", "SERVICE_UNAVAILABLE")


async def test_a_busy_model_is_asked_again(tmp_path: Path, database_url: str) -> None:
    """429 with Retry-After, then the answer."""
    tries = 0

    def busy(_: Asked) -> bytes:
        nonlocal tries
        tries += 1
        return says("At dusk.[[1|opens at dusk]]") if tries == 3 else answer("busy", 429, retry_after="0")

    async with website({"/v1/chat/completions": busy}) as site, with_model(tmp_path, database_url, site) as (_, client):
        assert (await ask(client, "When does the dome open?", model="small"))["answer"] == "At dusk."
    assert tries == 3
