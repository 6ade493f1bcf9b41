"""What two processes counted is what was sent, whichever of them is asked; and each request left one line."""

import asyncio
import base64
import json
import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.clock import SystemClock
from core.tokens import new_api_key
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from tests.integration.server.served import START_SECONDS, ServedApi, served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
DOCUMENTS = "/api/v1/rag/documents"


async def numbers(api: ServedApi) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    async with api.client() as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lines(api: ServedApi) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in api.log.read_text("utf-8").splitlines() if line.startswith("{")]
    return [line for line in logged if line["event"] == "request.finished"]


async def asked(api: ServedApi, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
    async with api.client(key) as client:  # a connection of its own: either process may take it
        return await client.request(method, path, **options)


@pytest.fixture
async def key(_migrated_sqlite: Path, tmp_path: Path) -> str:
    file = tmp_path / "codexos.sqlite3"
    file.write_bytes(_migrated_sqlite.read_bytes())
    database = Database(f"sqlite+aiosqlite:///{file}")
    key = await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()
    return key


async def test_numbers_lines_and_secrets_over_two_processes(
    key: str, redis_url: str, tmp_path: Path, unused_port: int
) -> None:
    """Exact counts, route templates for labels, one line a request, and no credential in either or in the database."""
    wrong, secret = new_api_key("live"), "planted-password-7f3a9c"
    database = f"sqlite+aiosqlite:///{tmp_path / 'codexos.sqlite3'}"
    api = ServedApi(tmp_path, unused_port, database, redis_url, CODEXOS_HTTP_WORKERS="2", CODEXOS_LOG_LEVEL="DEBUG")
    body = {"source_type": "text", "source": "The dome opens at dusk."}
    async with served(api):
        before = len(lines(api))
        for number in range(20):
            missing = f"{DOCUMENTS}/01a20557-a025-719e-abe7-1643716b6f{number + 10}"
            assert (await asked(api, "GET", missing, key=key)).status_code == 404
        for _ in range(7):
            assert (await asked(api, "GET", DOCUMENTS, key=wrong)).status_code == 401
        for _ in range(3):
            posted = await asked(
                api, "POST", "/api/v1/rag/ingest", key=key, json=body, headers={"idempotency-key": "k1"}
            )
            assert posted.status_code == 202
        other = body | {"source": "Another."}
        reused = await asked(api, "POST", "/api/v1/rag/ingest", key=key, json=other, headers={"idempotency-key": "k1"})
        assert reused.status_code == 422
        log_in = {"email": "ada@example.com", "password": secret}
        registered = await asked(api, "POST", "/api/v1/auth/register", json=log_in | {"name": "Ada"})
        assert registered.status_code == 201
        session = (await asked(api, "POST", "/api/v1/auth/token", json=log_in)).json()
        refresh = {"refresh_token": session["refresh_token"]}
        await asked(api, "GET", "/api/v1/auth/sessions", key=session["access_token"])
        renewed = (await asked(api, "POST", "/api/v1/auth/refresh", json=refresh)).json()
        assert (await asked(api, "POST", "/api/v1/auth/refresh", json=refresh)).status_code >= 400
        await asked(api, "POST", "/api/v1/auth/token", json=log_in | {"password": secret + "-wrong"})
        await asked(api, "POST", "/api/v1/auth/token", content=json.dumps(log_in)[:-3])  # cut off in the middle
        await asked(
            api, "GET", f"/nowhere/{secret}?token={wrong}", headers={"traceparent": f"00-{TRACE}-{'1' * 16}-01"}
        )
        found, again = await numbers(api), await numbers(api)
    counted = {key: value for key, value in found.items() if key[0] == "codexos_http_requests_total"}
    by_route = {
        (dict(labels)["route"], dict(labels)["method"], dict(labels)["status"]): n for (_, labels), n in counted.items()
    }
    assert by_route[DOCUMENTS + "/{document_id}", "GET", "404"] == 20
    assert by_route[DOCUMENTS, "GET", "401"] == 7
    assert by_route["/api/v1/rag/ingest", "POST", "202"] == 3
    assert by_route["unmatched", "GET", "404"] == 1
    assert found["codexos_idempotency_replays_total", frozenset()] == 2
    assert found["codexos_idempotency_conflicts_total", frozenset({("code", "IDEMPOTENCY_KEY_REUSED")})] == 1
    assert found["codexos_auth_failures_total", frozenset({("route", DOCUMENTS)})] == 7
    assert found["codexos_jobs", frozenset({("kind", "rag.ingest"), ("status", "queued")})] == 1
    assert found["codexos_http_requests_in_flight", frozenset()] == 1  # the one that asks
    allowed = frozenset({("limit", "authenticated"), ("outcome", "allowed")})
    assert found["codexos_rate_limit_decisions_total", allowed] == 25
    metrics_asked = frozenset({("route", "/metrics"), ("method", "GET"), ("status", "200")})
    assert ("codexos_http_requests_total", metrics_asked) not in found
    assert again["codexos_http_requests_total", metrics_asked] == 1
    written = lines(api)[before:]
    per_route = Counter((line["route"], line["method"], str(line["status"])) for line in written)
    assert all(per_route[route] >= count for route, count in by_route.items() if route[0] != "/health")
    assert all(line["request_id"] and re.fullmatch("[0-9a-f]{32}", line["trace_id"]) for line in written)
    assert [line["route"] for line in written if line["trace_id"] == TRACE] == ["unmatched"]
    assert sum(line["replayed"] for line in written) == 2
    assert {line["level"] for line in written if 400 <= line["status"] < 500} == {"warning"}
    assert {line["principal"].partition(":")[0] for line in written if line["principal"]} == {"key", "user"}
    tokens = [answer[name] for answer in (session, renewed) for name in ("access_token", "refresh_token")]
    secrets = [key, wrong, secret, *tokens]
    files = [api.log, *tmp_path.glob("codexos.sqlite3*"), *(tmp_path / "metrics").rglob("*.db")]
    for file in files:
        content = file.read_bytes()
        for planted in secrets:
            for encoded in encodings(planted):
                assert encoded not in content, (file.name, planted[:8])


@pytest.mark.parametrize("redis_url", ["embedded"], indirect=True)
async def test_what_a_killed_process_was_working_on_is_forgotten(
    key: str, redis_url: str, tmp_path: Path, unused_port: int
) -> None:
    """What it had counted still counts; the request that it took to its grave is no longer under way."""
    database = f"sqlite+aiosqlite:///{tmp_path / 'codexos.sqlite3'}"
    api = ServedApi(tmp_path, unused_port, database, redis_url, CODEXOS_HTTP_WORKERS="2")
    lives = tmp_path / "metrics" / str(unused_port)

    def living() -> set[int]:
        return {int(file.stem.rpartition("_")[2]) for file in lives.glob("gauge_live*_*.db")}

    async def in_flight() -> float:
        return (await numbers(api))["codexos_http_requests_in_flight", frozenset()]

    async with served(api), api.client(key) as client:
        assert (await client.get(DOCUMENTS)).status_code == 200
        body = {"source_type": "text", "source": "Nobody will work on this."}
        waiting = asyncio.create_task(client.post("/api/v1/rag/ingest", json=body, headers={"prefer": "wait=60"}))
        async with asyncio.timeout(START_SECONDS):
            while await in_flight() != 2:  # the one that waits and the one that asks
                await asyncio.sleep(0.05)
        killed = living()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            await waiting
        await api.answering()
        async with asyncio.timeout(START_SECONDS):
            while living() & killed:
                await asyncio.sleep(0.05)
        assert await in_flight() == 1
        listed = frozenset({("route", DOCUMENTS), ("method", "GET"), ("status", "200")})
        assert (await numbers(api))["codexos_http_requests_total", listed] == 1


def encodings(secret: str) -> set[bytes]:
    """Return the ways a secret might be written down."""
    plain = secret.encode()
    return {
        plain,
        base64.b64encode(plain).rstrip(b"="),
        base64.urlsafe_b64encode(plain).rstrip(b"="),
        plain.hex().encode(),
        quote(secret, safe="").encode(),
        json.dumps(secret).encode(),
        plain[::-1],
    }
