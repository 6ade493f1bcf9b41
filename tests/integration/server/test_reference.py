"""What the published reference promises of log-in, headers, RAG, errors and lists, called as it is written there."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.integration.server.running import Api

ASKED = {"query": "How do I create an agent?", "limit": 5, "filters": {"source_type": "documentation"}}
TEXT = "To create an agent, press New."


@pytest.fixture
async def documented(api: Api, client: httpx.AsyncClient) -> dict[str, Any]:
    """A form with all four parts of the reference, worked off."""
    form = {
        "source_type": "text",
        "source": TEXT,
        "metadata": '{"source_type": "documentation", "source": "docs/agents.md"}',
        "chunking_strategy": "recursive",
    }
    parts = {name: (None, value) for name, value in form.items()}
    posted = await client.post("/api/v1/rag/ingest", files=parts)
    assert posted.status_code == 202, posted.text
    await api.work()
    accepted: dict[str, Any] = posted.json()
    return accepted


@pytest.mark.parametrize("strategy", ["recursive", "semantic", "fixed"])
async def test_every_chunking_strategy_is_taken(strategy: str, api: Api, client: httpx.AsyncClient) -> None:
    """As a part of a form."""
    parts = {"source_type": "text", "source": TEXT, "chunking_strategy": strategy}
    posted = await client.post("/api/v1/rag/ingest", files={name: (None, value) for name, value in parts.items()})
    assert posted.status_code == 202, posted.text
    await api.work()
    job = (await client.get(f"/api/v1/rag/jobs/{posted.json()['job_id']}")).json()
    assert job["status"] == "succeeded"


@pytest.mark.usefixtures("documented")
async def test_the_question_of_the_reference_finds_its_answer(client: httpx.AsyncClient) -> None:
    """With its filter, which is the user's own metadata, and with its fields."""
    answer = await client.post("/api/v1/rag/query", json=ASKED)
    assert answer.status_code == 200
    body = answer.json()
    assert body["total"] == 1
    assert body["query_time"] > 0
    [result] = body["results"]
    assert result["content"] == TEXT
    assert 0 < result["score"] <= 1
    assert result["metadata"]["chunk_id"]
    other = await client.post("/api/v1/rag/query", json=ASKED | {"filters": {"source_type": "wiki"}})
    assert other.json()["results"] == []


async def test_headers_say_what_is_left_of_the_limit(client: httpx.AsyncClient) -> None:
    """As whole numbers, and the end of the window as seconds since 1970."""
    answer = await client.get("/api/v1/rag/documents", headers={"Accept": "application/json"})
    limit, left, reset = (int(answer.headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset"))
    assert 0 <= left < limit
    assert abs(reset - time.time()) < 3_600
    assert datetime.fromtimestamp(reset, UTC).year >= 2026


async def test_the_tenant_may_be_named_in_a_header(api: Api) -> None:
    """One's own; that of others is refused."""
    mine, key = await api.tenant()
    other, _ = await api.tenant()
    async with api.client(key) as client:
        own = await client.get("/api/v1/rag/documents", headers={"X-Tenant-ID": mine})
        refused = await client.get("/api/v1/rag/documents", headers={"X-Tenant-ID": other})
    assert own.status_code == 200
    assert refused.status_code in (403, 404)
    assert refused.json()["error"]["code"] in ("AUTHORIZATION_FAILED", "RESOURCE_NOT_FOUND")


@pytest.mark.usefixtures("documented")
async def test_lists_have_the_fields_of_the_reference(client: httpx.AsyncClient) -> None:
    """Asked for by skip and limit."""
    body = (await client.get("/api/v1/rag/documents?skip=0&limit=20")).json()
    assert (len(body["items"]), body["total"], body["skip"], body["limit"], body["has_more"]) == (1, 1, 0, 20, False)


async def test_errors_have_the_codes_of_the_reference(api: Api, client: httpx.AsyncClient) -> None:
    """And its form: a code, a sentence, details."""
    nobody = api.client("cxk_test_nobody")
    reader = api.client(await api.key((await api.tenant())[0], []))
    async with nobody, reader:
        answers = {
            "AUTHENTICATION_FAILED": (401, await nobody.get("/api/v1/rag/documents")),
            "AUTHORIZATION_FAILED": (403, await reader.post("/api/v1/rag/query", json=ASKED)),
            "VALIDATION_ERROR": (400, await client.post("/api/v1/rag/query", json=ASKED | {"limit": 101})),
            "RESOURCE_NOT_FOUND": (404, await client.get("/api/v1/rag/jobs/01a20557-a025-719e-abe7-1643716b6f27")),
        }
    for code, (status, answer) in answers.items():
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error["message"]
        assert isinstance(error["details"], dict)


@pytest.mark.usefixtures("documented")
async def test_the_version_before_answers_and_says_when_it_ends(client: httpx.AsyncClient) -> None:
    """At least six months ahead."""
    answer = await client.post("/api/v0/rag/query", json=ASKED)
    assert answer.status_code == 200
    assert answer.json()["total"] == 1
    assert answer.headers["Deprecation"]
    assert answer.headers["Sunset"]
