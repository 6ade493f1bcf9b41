"""A server whose tenants have webhook endpoints on loopback, and a dispatcher beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from core.ids import TenantId
from server.webhooks.sealing import Sealing
from stores.outbox import Outbox
from tests.factories.webhooks import dispatching, tell
from tests.integration.server.running import Api, running, settings_for
from vault.open import open_envelope

ENDPOINTS = "/api/v1/webhooks/endpoints"
URL = "https://93.184.216.34/hooks"


@asynccontextmanager
async def serving(home: Path, database_url: str, **given: Any) -> AsyncIterator[Api]:
    async with running(settings_for(home, database_url, egress_allow=("127.0.0.0/8",), **given)) as api:
        yield api


@asynccontextmanager
async def dispatcher_of(api: Api) -> AsyncIterator[Outbox]:
    """Run a dispatcher for as long as the block lasts; yield an outbox that tells it."""
    sealing = Sealing(envelope=open_envelope(api.settings))
    running_on = dispatching(
        api.database, api.settings.redis_connection, sealing=sealing, poll_seconds=0.05, timeout_seconds=5.0
    )
    async with running_on as (dispatcher, outbox):
        stop = asyncio.Event()
        task = asyncio.create_task(dispatcher.run(stop))
        try:
            yield outbox
        finally:
            stop.set()
            await task


async def made(client: httpx.AsyncClient, url: str = URL, **given: Any) -> dict[str, Any]:
    response = await client.post(ENDPOINTS, json={"url": url, "event_types": ["*"], **given})
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def tell_many(api: Api, outbox: Outbox, tenant_id: TenantId, count: int) -> list[str]:
    """Commit so many events; return their ids."""
    payload = {"document_id": "d", "revision": 1, "job_id": "j", "chunks": 1}
    return [await tell(api.database, tenant_id, outbox, payload) for _ in range(count)]


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
