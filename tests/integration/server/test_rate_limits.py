"""Limits over the wire: who is counted where, and what every answer says."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.auth.principal import Scope
from tests.integration.server.exchange import exchange
from tests.integration.server.running import Api, running, settings_for

DOCUMENTS = "/api/v1/rag/documents"
HEADERS = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy")
LIMITS: dict[str, Any] = {"rate_limit_authenticated_per_minute": 7, "rate_limit_unauthenticated_per_minute": 3}


@pytest.fixture
async def api(_migrated_sqlite: Path, tmp_path: Path, redis_url: str) -> AsyncIterator[Api]:
    """Yield a server with low limits. Counts in Redis outlive a test, so each brings its own callers and addresses."""
    (tmp_path / "codexos.sqlite3").write_bytes(_migrated_sqlite.read_bytes())
    async with running(settings_for(tmp_path, None, redis_url=redis_url, trusted_proxies=1, **LIMITS)) as api:
        yield api


def from_address(number: int) -> dict[str, str]:
    """Return the header by which the test's proxy names a client that nobody else is."""
    moment = time.time_ns() % 2**32
    return {"x-forwarded-for": f"10.{moment >> 24 & 255}.{moment >> 16 & 255}.{(moment >> 8 & 254) + number}"}


def told(answer: httpx.Response) -> tuple[int, int]:
    """Return (limit, remaining), checked against the other spelling of the same."""
    limit, remaining, reset = (int(answer.headers[name]) for name in HEADERS[:3])
    policy, quota, window = answer.headers["ratelimit-policy"].split(";")
    name, left, seconds = answer.headers["ratelimit"].split(";")
    assert (quota, window, left) == (f"q={limit}", "w=60", f"r={remaining}")
    assert name == policy
    assert abs(reset - time.time() - int(seconds.removeprefix("t="))) <= 2
    return limit, remaining


async def test_a_key_is_counted_for_itself(api: Api) -> None:
    """Seven requests, then 429 with the time to wait; another key of the same tenant has its own seven."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client, api.client(await api.key(tenant_id)) as other:
        answers = [await client.get(DOCUMENTS) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [200] * 7 + [429] * 2
        assert [told(answer) for answer in answers] == [(7, left) for left in (6, 5, 4, 3, 2, 1, 0, 0, 0)]
        refused = answers[-1]
        assert refused.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert 1 <= int(refused.headers["retry-after"]) <= 9
        assert refused.json()["error"]["details"]["retry_after_seconds"] == int(refused.headers["retry-after"])
        assert told(await other.get(DOCUMENTS)) == (7, 6)


async def test_who_shows_no_valid_credential_is_counted_by_address(api: Api) -> None:
    """None, a wrong one, two of them: three tries from one address, whatever is tried. Others are not affected."""
    _, key = await api.tenant()
    here, there = from_address(0), from_address(1)
    wrong = {"authorization": "Bearer cxk_live_wrong"}
    async with api.client() as client:
        tries = [await client.get(DOCUMENTS, headers=here | extra) for extra in ({}, wrong, wrong, {}, wrong)]
        assert [answer.status_code for answer in tries] == [401, 401, 401, 429, 429]
        assert told(tries[0]) == (3, 2)
        assert (await client.get(DOCUMENTS, headers=there)).status_code == 401
        right = await client.get(DOCUMENTS, headers=here | {"authorization": f"Bearer {key}"})
        assert (right.status_code, told(right)) == (200, (7, 6))


async def test_the_client_cannot_choose_its_address(api: Api) -> None:
    """What stands left of the proxy's entry came from the client."""
    here = from_address(0)["x-forwarded-for"]
    async with api.client() as client:
        tries = [
            await client.get(DOCUMENTS, headers={"x-forwarded-for": f"192.0.2.{number}, {here}"}) for number in range(4)
        ]
    assert [answer.status_code for answer in tries] == [401, 401, 401, 429]


async def test_a_missing_scope_is_counted_too(api: Api) -> None:
    """Trying what one may not costs as much as doing it."""
    tenant_id, _ = await api.tenant()
    async with api.client(await api.key(tenant_id, [Scope.RAG_WRITE])) as client:
        answers = [await client.get(DOCUMENTS) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [403] * 7 + [429]


async def test_health_is_never_refused_and_never_counted(api: Api) -> None:
    """What watches the server must not be stopped by it; its answers tell the limit all the same."""
    here = from_address(0)
    async with api.client() as client:
        answers = [await client.get("/health", headers=here) for _ in range(6)]
    assert [(answer.status_code, told(answer)) for answer in answers] == [(200, (3, 3))] * 6


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404),
        (b"PUT /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", 417),
    ],
)
async def test_refusals_of_the_framework_tell_the_limit(api: Api, request_bytes: bytes, status: int) -> None:
    """Every response does, those to requests that could not be read included."""
    [answer] = await exchange(api.url, request_bytes)
    assert answer.status == status
    assert set(HEADERS) <= set(answer.headers)
    assert json.loads(answer.body)["error"]["code"]


async def test_plans_have_limits_of_their_own(database_url: str, tmp_path: Path) -> None:
    """A limit is configuration: one for everybody, others by plan. Without Redis the process counts by itself."""
    async with running(settings_for(tmp_path, database_url, rate_limit_plans={"default": 2}, **LIMITS)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            answers = [await client.get(DOCUMENTS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert answers[0].headers["ratelimit-policy"] == '"plan-default";q=2;w=60'
