"""Events reach endpoints: signed, as often as it takes, and one endpoint is not in the way of another."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.ids import TenantId
from server.webhooks.dispatch.dispatcher import Dispatcher
from stores.sql.engine import Database
from tests.factories.webhooks import SECRET, add_endpoint, dispatching, tell
from tests.fakes.website import answer, website


@asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(dispatcher.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_committed_event_arrives_signed(database: Database, tenant_id: TenantId, redis_url: str) -> None:
    """The body is the reference's, and its `verify_webhook` takes the signature."""
    async with website({"/hook": answer()}) as site, dispatching(database, redis_url) as (dispatcher, outbox):
        await add_endpoint(database, tenant_id, f"{site.url}/hook")
        async with running(dispatcher):
            event_id = await tell(database, tenant_id, outbox, {"document_id": "d"})
            await until(lambda: bool(site.asked))
    [asked] = site.asked
    body = json.loads(asked.body)
    assert list(body) == ["id", "type", "created", "data"]
    assert (body["id"], body["type"], body["data"]) == (event_id, "rag.document.indexed", {"document_id": "d"})
    expected = hmac.new(SECRET.encode(), asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-codexos-signature"] == expected
    assert asked.headers["webhook-id"] == event_id


async def test_many_events_arrive_once_each(database: Database, tenant_id: TenantId, redis_url: str) -> None:
    """300 events, two endpoints: 600 requests, and as many deliveries that succeeded."""
    async with (
        website({"/a": answer(), "/b": answer()}) as site,
        dispatching(database, redis_url) as (dispatcher, outbox),
    ):
        for path in ("a", "b"):
            await add_endpoint(database, tenant_id, f"{site.url}/{path}")
        async with running(dispatcher):
            told = [await tell(database, tenant_id, outbox, {"n": n}) for n in range(300)]
            await until(lambda: len(site.asked) >= 600)
            await asyncio.sleep(0.3)
    for path in ("/a", "/b"):
        assert sorted(json.loads(asked.body)["id"] for asked in site.asked if asked.path == path) == sorted(told)
