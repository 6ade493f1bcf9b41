"""C18: a key is compared with its body, held while its handler lives, not bound to a token (Svix idempotency.rs)."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from tests.acceptance.system import free_ports
from tests.integration.server.served import ServedApi, served

TEXT = {"source_type": "text", "source": "Once."}
INGEST, DOCUMENTS = "/api/v1/rag/ingest", "/api/v1/rag/documents"
LEASE = {"CODEXOS_IDEMPOTENCY_LEASE_SECONDS": "1"}
ACCOUNT = {"email": "ada@example.com", "password": "a long sentence of your own"}


async def post(client: httpx.AsyncClient, body: dict[str, str] | None = None) -> httpx.Response:
    return await client.post(INGEST, json=body or TEXT, headers={"idempotency-key": "k"})


async def documents(client: httpx.AsyncClient) -> int:
    total: int = (await client.get(DOCUMENTS)).json()["total"]
    return total


async def test_C18_a_handler_longer_than_its_lease_is_not_doubled(database_url: str, tmp_path: Path) -> None:
    """Four leases long, tried again all the while on another process: one document."""
    database = Database(database_url)
    key = await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()
    slow_port, port = free_ports(2)
    slow = ServedApi(tmp_path, slow_port, database_url, command=["tests.fakes.slow_api"], **LEASE)
    quick = ServedApi(tmp_path, port, database_url, **LEASE)
    async with served(slow, quick), slow.client(key) as first, quick.client(key) as second:
        under_way = asyncio.create_task(post(first))
        await asyncio.sleep(1)  # the first has to be first: had it not begun, the second would execute and this fail
        refused = 0
        while not under_way.done():
            answer = await post(second)
            if answer.status_code == 409:
                assert answer.json()["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
                refused += 1
            await asyncio.sleep(0.1)
        done = await under_way
        assert (done.status_code, refused > 10) == (202, True)
        assert (await post(second)).content == done.content
        assert await documents(second) == 1


async def test_C18_another_body_is_refused_and_a_fresh_token_replays(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """The key belongs to who asks, not to the token they ask with."""
    api = ServedApi(tmp_path, free_ports(1)[0], database_url, redis_url)
    async with served(api), api.client() as client:
        (await client.post("/api/v1/auth/register", json={**ACCOUNT, "name": "Ada"})).raise_for_status()
        pair = await tokens(client, "token", ACCOUNT)
        first = await post(client)
        other = await post(client, {**TEXT, "source": "Twice."})
        assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        renewed = await tokens(client, "refresh", {"refresh_token": pair["refresh_token"]})
        assert renewed["access_token"] != pair["access_token"]
        again = await post(client)
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert await documents(client) == 1


async def tokens(client: httpx.AsyncClient, operation: str, body: dict[str, str]) -> dict[str, Any]:
    """Get a pair of tokens, and speak with its access token from now on."""
    answer = await client.post(f"/api/v1/auth/{operation}", json=body)
    pair: dict[str, Any] = answer.raise_for_status().json()
    client.headers["authorization"] = f"Bearer {pair['access_token']}"
    return pair
