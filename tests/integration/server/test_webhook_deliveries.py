"""What became of deliveries, through the API; telling again at a pace; and the log of events, from cursor to cursor."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from core.clock import SystemClock
from core.ids import TenantId, new_id
from server.webhooks.relay.service import Relay
from stores.outbox import Outbox
from stores.sql.models import WebhookDeliveryRow
from tests.fakes.receiver import receiving
from tests.fakes.website import answer, website
from tests.integration.server.hooked import ENDPOINTS, dispatcher_of, made, serving, tell_many, until
from tests.integration.server.running import Api


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve with loopback open to egress."""
    async with serving(tmp_path, database_url) as api:
        yield api


async def told_of(api: Api, tenant_id: TenantId, count: int) -> list[str]:
    """Commit events and hand them out, with nobody there to send them; return their ids."""
    ids = await tell_many(api, Outbox(SystemClock()), tenant_id, count)
    await Relay(database=api.database, clock=SystemClock(), new_id=new_id).hand_out()
    return ids


async def ended(api: Api, state: str, event_ids: list[str] | None = None) -> None:
    """Say that deliveries ended so."""
    change = update(WebhookDeliveryRow).values(state=state)
    async with api.database.transaction() as session:
        await session.execute(change if event_ids is None else change.where(WebhookDeliveryRow.event_id.in_(event_ids)))


async def replay(client: httpx.AsyncClient, endpoint: dict[str, Any], **asked: Any) -> dict[str, Any]:
    response = await client.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/replay", json=asked)
    assert response.status_code == 202, response.text
    answered: dict[str, Any] = response.json()
    return answered


async def deliveries(client: httpx.AsyncClient, endpoint: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    listed = await client.get(f"{ENDPOINTS}/{endpoint['endpoint_id']}/deliveries", params={"limit": 100, **query})
    assert listed.status_code == 200, listed.text
    items: list[dict[str, Any]] = listed.json()["items"]
    return items


async def test_each_attempt_is_shown_with_what_was_answered(api: Api) -> None:
    """A refusal with its first 20 kB, under the delivery that it was an answer to."""
    tenant_id, key = await api.tenant()
    async with website({"/hook": answer("no" * 15_000, 500)}) as site, api.client(key) as client:
        endpoint = await made(client, f"{site.url}/hook")
        async with dispatcher_of(api) as outbox:
            [event_id] = await tell_many(api, outbox, tenant_id, 1)
            await until(lambda: bool(site.asked))
        [listed] = await deliveries(client, endpoint)
        shown = (await client.get(f"/api/v1/webhooks/deliveries/{listed['delivery_id']}")).json()
    assert (listed["event_id"], listed["state"], listed["attempts_made"]) == (event_id, "pending", 1)
    assert shown | listed == shown
    assert shown["payload"] == json.loads(site.asked[0].body)
    [attempt] = shown["attempts"]
    assert (attempt["number"], attempt["status"], attempt["error"]) == (1, 500, None)
    assert attempt["response"] == "no" * 10_000
    assert 0 <= attempt["milliseconds"] < 5_000
    assert datetime.fromisoformat(shown["next_attempt_at"]) > datetime.fromisoformat(attempt["started_at"])


async def test_deliveries_are_listed_newest_first_and_by_what_became_of_them(api: Api) -> None:
    """Page by page with a cursor, also while more are made; filters narrow the list."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        endpoint = await made(client)
        ids = await told_of(api, tenant_id, 5)
        await ended(api, "failed", ids[:2])
        path = f"{ENDPOINTS}/{endpoint['endpoint_id']}/deliveries"
        first = (await client.get(path, params={"limit": 3})).json()
        await told_of(api, tenant_id, 1)
        second = (await client.get(path, params={"limit": 3, "cursor": first["next_cursor"]})).json()
        assert [item["event_id"] for item in first["items"] + second["items"]] == ids[::-1]
        assert [item["event_id"] for item in await deliveries(client, endpoint, state="failed")] == ids[1::-1]
        assert len(await deliveries(client, endpoint, event_type="rag.document.indexed")) == 6
        assert await deliveries(client, endpoint, event_type="rag.document.failed") == []
        assert (await client.get(path, params={"state": "lost"})).status_code == 400


async def test_a_replay_is_the_same_bytes_again(api: Api) -> None:
    """By delivery or by event, as often as one likes: the same id and body, and each copy is counted."""
    tenant_id, key = await api.tenant()
    with receiving() as receiver:
        async with api.client(key) as client, dispatcher_of(api) as outbox:
            endpoint = await made(client, f"{receiver.url}/hook")
            [event_id] = await tell_many(api, outbox, tenant_id, 1)
            await until(lambda: len(receiver.told) == 1)
            [first] = await deliveries(client, endpoint)
            for asked in ({"delivery_id": first["delivery_id"]}, {"event_id": event_id}):
                assert (await replay(client, endpoint, **asked, per_second=100))["count"] == 1
            await until(lambda: len(receiver.told) == 3)
            copies = [item["copy_number"] for item in await deliveries(client, endpoint)]
    assert len({(told.body, told.headers["webhook-id"]) for told in receiver.told}) == 1
    assert sorted(copies) == [0, 1, 2]


async def test_a_range_is_told_again_no_faster_than_was_asked_for(api: Api) -> None:
    """Of two requests together no more than 10 a second fall due, those of the second behind those of the first."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        endpoint = await made(client)
        ids = await told_of(api, tenant_id, 30)
        await ended(api, "succeeded")
        first = await replay(client, endpoint, after=5, before=26, per_second=10)
        second = await replay(client, endpoint, after=20, per_second=10)
    assert (first["count"], second["count"], first["next_after"]) == (20, 10, None)
    async with api.database.reading() as session:
        query = select(WebhookDeliveryRow).where(WebhookDeliveryRow.copy > 0).order_by(WebhookDeliveryRow.available_at)
        replayed = (await session.scalars(query)).all()
    assert [row.event_id for row in replayed] == ids[5:25] + ids[20:]
    gaps = [later.available_at - row.available_at for row, later in zip(replayed, replayed[10:], strict=False)]
    assert min(gaps) >= timedelta(seconds=1) - timedelta(milliseconds=1)
    assert [row.copy for row in replayed[20:]] == [2] * 5 + [1] * 5
    assert datetime.fromisoformat(second["last_due_at"]) == replayed[-1].available_at


async def test_what_failed_is_told_again_once(api: Api) -> None:
    """Not what arrived, nor what is on its way: asked a second time, nothing is left to tell."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        endpoint = await made(client)
        ids = await told_of(api, tenant_id, 6)
        await ended(api, "succeeded")
        await ended(api, "failed", ids[1:4])
        assert (await replay(client, endpoint, failed_only=True, after=2))["count"] == 2
        assert (await replay(client, endpoint, failed_only=True))["count"] == 1
        assert await replay(client, endpoint, failed_only=True) == {"count": 0, "last_due_at": None, "next_after": None}
        pending = await deliveries(client, endpoint, state="pending")
    assert {item["event_id"] for item in pending} == set(ids[1:4])


async def test_what_was_missed_is_in_a_range(api: Api) -> None:
    """Events from before an endpoint was made, of the types it wants and the time that was named."""
    tenant_id, key = await api.tenant()
    ids = await told_of(api, tenant_id, 3)
    async with api.client(key) as client:
        others = await made(client, event_types=["rag.document.failed"])
        endpoint = await made(client, event_types=["rag.document.indexed"])
        now = SystemClock().now().isoformat()
        assert (await replay(client, others, after=0))["count"] == 0
        assert (await replay(client, endpoint, since=now))["count"] == 0
        assert (await replay(client, endpoint, until=now))["count"] == 3
        assert {item["event_id"] for item in await deliveries(client, endpoint)} == set(ids)
        await client.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/disable")
        refused = await client.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/replay", json={"after": 0})
    assert refused.status_code == 409


@pytest.mark.parametrize(
    "asked",
    [{}, {"per_second": 5}, {"after": 0, "event_id": "evt_x"}, {"delivery_id": "x", "event_id": "x"}, {"after": -1}],
    ids=str,
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_replay_says_what_it_is_of(client: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    """One delivery, one event or a range: nothing is told again by accident."""
    endpoint = await made(client)
    refused = await client.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/replay", json=asked)
    assert refused.status_code == 400


async def test_another_endpoints_delivery_is_not_replayed(api: Api) -> None:
    """Nor an event of another tenant: both are as unknown as what never was."""
    tenant_id, key = await api.tenant()
    theirs, _ = await api.tenant()
    async with api.client(key) as client:
        one, other = await made(client), await made(client)
        await told_of(api, tenant_id, 1)
        [foreign] = await told_of(api, theirs, 1)
        [delivery] = await deliveries(client, one)
        path = f"{ENDPOINTS}/{other['endpoint_id']}/replay"
        for asked in ({"delivery_id": delivery["delivery_id"]}, {"event_id": foreign}, {"event_id": "evt_x"}):
            assert (await client.post(path, json=asked)).status_code == 404


async def test_the_log_is_read_from_cursor_to_cursor(api: Api) -> None:
    """Every event once, numbered without a gap, as webhooks tell it; a tenant sees its own."""
    tenant_id, key = await api.tenant()
    theirs, _ = await api.tenant()
    async with api.client(key) as client:
        ids, after, seen = [], 0, []
        for count in (3, 0, 4):
            ids += await told_of(api, tenant_id, count)
            await told_of(api, theirs, 2)
            has_more = True
            while has_more:
                page = (await client.get("/api/v1/events", params={"after": after, "limit": 2})).json()
                seen += page["items"]
                after, has_more = page["next_after"], page["has_more"]
        assert [(event["number"], event["id"]) for event in seen] == list(enumerate(ids, start=1))
        assert list(seen[0]) == ["id", "type", "created", "data", "number"]
        types = {"types": "rag.document.failed,rag.document.deleted"}
        assert (await client.get("/api/v1/events", params=types)).json()["items"] == []
        assert (await client.get("/api/v1/events", params={"types": "rag.document"})).status_code == 400
        far = {2**53 - 1: 200, 2**53: 400, 10**30: 400}
        asked = {number: await client.get("/api/v1/events", params={"after": number}) for number in far}
        assert {number: answer.status_code for number, answer in asked.items()} == far
