"""C17: an idempotency key is honoured, whichever process a retry reaches (dify #39685, conductor #1527)."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from tests.acceptance.system import free_ports
from tests.integration.server.served import ServedApi, served

TEXT = {"source_type": "text", "source": "Once."}


async def test_C17_fifty_parallel_requests_have_one_effect(database_url: str, tmp_path: Path) -> None:
    """Fifty at once over two server processes: one executes, the others replay it or hear that it is in progress."""
    database = Database(database_url)
    key = await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()
    apis = [ServedApi(tmp_path, port, database_url) for port in free_ports(2)]
    async with served(*apis), apis[0].client(key) as one, apis[1].client(key) as other:

        async def post(client: httpx.AsyncClient) -> tuple[int, str | None, str]:
            answer = await client.post("/api/v1/rag/ingest", json=TEXT, headers={"idempotency-key": "k"})
            body = answer.text if answer.status_code == 202 else answer.json()["error"]["code"]
            return answer.status_code, answer.headers.get("idempotent-replayed"), body

        seen = Counter(await asyncio.gather(*(post((one, other)[number % 2]) for number in range(50))))
        documents = (await one.get("/api/v1/rag/documents")).json()["total"]
    [executed] = [body for status, replayed, body in seen if status == 202 and replayed is None]
    assert (documents, seen[202, None, executed]) == (1, 1)
    assert set(seen) <= {(202, None, executed), (202, "true", executed), (409, None, "IDEMPOTENCY_IN_PROGRESS")}
