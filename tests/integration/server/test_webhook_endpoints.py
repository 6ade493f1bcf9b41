"""Webhook endpoints through the API: made, changed, refused where they lead inside, rotated, tried out."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from stores.sql.models import AuditEventRow, OutboxRow, WebhookEndpointRow
from tests.fakes.receiver import receiving
from tests.integration.server.hooked import ENDPOINTS, URL, dispatcher_of, made, serving, until
from tests.integration.server.running import Api


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve with loopback open to egress."""
    async with serving(tmp_path, database_url) as api:
        yield api


async def test_an_endpoint_is_kept_changed_and_deleted(client: httpx.AsyncClient) -> None:
    """Its secret and the values of its headers are shown in no later answer; a lost update is refused."""
    endpoint = await made(client, event_types=["rag.document.indexed"], headers={"X-Token": "s3cr3t"}, description="d")
    secret = endpoint.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    place = f"{ENDPOINTS}/{endpoint['endpoint_id']}"
    shown = await client.get(place)
    assert (shown.json(), shown.headers["etag"]) == (endpoint, '"1"')
    assert (endpoint["header_names"], endpoint["enabled"], endpoint["ordered"]) == (["X-Token"], True, False)
    change = {"event_types": ["*", "rag.document.failed"], "ordered": True, "headers": {"X-Other": "v"}}
    changed = (await client.patch(place, json=change, headers={"if-match": '"1"'})).json()
    assert (changed["event_types"], changed["ordered"], changed["header_names"]) == (["*"], True, ["X-Other"])
    assert (changed["url"], changed["description"], changed["version"]) == (URL, "d", 2)
    assert (await client.patch(place, json={}, headers={"if-match": '"1"'})).status_code == 412
    listed = await client.get(ENDPOINTS)
    assert [item["endpoint_id"] for item in listed.json()["items"]] == [endpoint["endpoint_id"]]
    assert "s3cr3t" not in listed.text + shown.text
    assert secret not in listed.text + shown.text
    assert (await client.delete(place)).json() == {"endpoint_id": endpoint["endpoint_id"]}
    assert (await client.get(place)).status_code == 404


async def test_any_number_of_endpoints_is_listed_page_by_page(client: httpx.AsyncClient) -> None:
    """No limit: 30 of them, newest first, none twice."""
    ids = [(await made(client))["endpoint_id"] for _ in range(30)]
    first = (await client.get(ENDPOINTS, params={"limit": 20})).json()
    second = (await client.get(ENDPOINTS, params={"limit": 20, "cursor": first["next_cursor"]})).json()
    assert [item["endpoint_id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert (second["has_more"], first["total"]) == (False, 30)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://93.184.216.34/", "Name an https address"),
        ("https://10.0.0.1/", "private"),
        ("https://169.254.169.254/latest/meta-data", "metadata"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:10.0.0.1]/", "we do not connect to"),
        ("https://[64:ff9b::a00:1]/", "NAT64"),
        ("https://0x0a000001/", "private"),
        ("https://167772161/", "private"),
        ("https://93.184.216.34:22/", "Port 22"),
        ("https://nowhere.invalid/", "no address"),
        ("https://0/", "this network"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_address_inside_is_refused_when_it_is_named(client: httpx.AsyncClient, url: str, says: str) -> None:
    """With its sentence, and the same when an endpoint is to be changed to it; nothing is kept."""
    endpoint = await made(client)
    body: dict[str, Any] = {"url": url, "event_types": ["*"]}
    place = f"{ENDPOINTS}/{endpoint['endpoint_id']}"
    for refused in (await client.post(ENDPOINTS, json=body), await client.patch(place, json={"url": url})):
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "EGRESS_BLOCKED")
        assert says in refused.json()["error"]["message"]
    assert [item["url"] for item in (await client.get(ENDPOINTS)).json()["items"]] == [URL]


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://example.com/"},
        {"url": "https://user:password@example.com/"},
        {"url": "https://exa mple.com/"},
        {"url": "https://example.com/#part"},
        {"url": "https:///path"},
        {"url": "https://example.com/\n"},
        {"event_types": []},
        {"event_types": ["rag.document.exploded"]},
        {"event_types": "*"},
        {"headers": {"Host": "elsewhere"}},
        {"headers": {"Content-Length": "3"}},
        {"headers": {"Webhook-Signature": "v1,x"}},
        {"headers": {"X-CodexOS-Signature": "x"}},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X A": "a"}},
        {"headers": {"X-A": "a", "x-a": "b"}},
        {"headers": {"X-A": "é"}},
        {"headers": {"X-A": "a" * 1001}},
        {"headers": {f"X-{number}": "a" for number in range(21)}},
        {"description": "d" * 501},
        {"secret": "whsec_mine"},
    ],
    ids=lambda given: json.dumps(given)[:60],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_work_is_refused(client: httpx.AsyncClient, given: dict[str, Any]) -> None:
    """400, and the pointer says which field."""
    refused = await client.post(ENDPOINTS, json={"url": URL, "event_types": ["*"], **given})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), refused.text
    [field] = given
    assert refused.json()["error"]["details"]["violations"][0]["pointer"].startswith(f"/{field}")


async def test_an_endpoint_is_disabled_and_enabled(api: Api) -> None:
    """Disabled is told as an event, once; enabled forgets what went wrong before; both are in the audit log."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        endpoint = await made(client)
        place = f"{ENDPOINTS}/{endpoint['endpoint_id']}"
        for _ in range(2):
            disabled = (await client.post(f"{place}/disable")).json()
            assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "manual")
        refused = await client.post(f"{place}/test", json={"event_type": "rag.document.indexed"})
        assert (refused.status_code, refused.json()["error"]["details"]) == (409, {"disabled_reason": "manual"})
        async with api.database.transaction() as session:
            row = await session.get_one(WebhookEndpointRow, endpoint["endpoint_id"])
            row.failures_in_a_row, row.failing_since = 7, row.created_at
        enabled = (await client.post(f"{place}/enable")).json()
        assert (enabled["enabled"], enabled["disabled_reason"], enabled["failing_since"]) == (True, None, None)
        await client.delete(place)
    async with api.database.reading() as session:
        told = (await session.scalars(select(OutboxRow).where(OutboxRow.tenant_id == tenant_id))).all()
        audited = await session.scalars(
            select(AuditEventRow.action).where(AuditEventRow.tenant_id == tenant_id).order_by(AuditEventRow.sequence)
        )
        actions = [action for action in audited if action.startswith("webhook_endpoint.")]
    assert [(event.type, event.payload["reason"]) for event in told] == [("webhook.endpoint.disabled", "manual")]
    assert [action.partition(".")[2] for action in actions] == ["created", "disabled", "enabled", "deleted"]


async def test_a_test_reaches_this_endpoint_only_and_is_no_event(api: Api) -> None:
    """The catalogue's example under an id that no event has, with the endpoint's own headers."""
    _, key = await api.tenant()
    with receiving() as receiver:
        async with api.client(key) as client, dispatcher_of(api):
            endpoint = await made(
                client, f"{receiver.url}/this", event_types=["rag.document.failed"], headers={"X-T": "v"}
            )
            await made(client, f"{receiver.url}/other")
            asked = {"event_type": "agent.execution.completed"}
            sent = await client.post(f"{ENDPOINTS}/{endpoint['endpoint_id']}/test", json=asked)
            assert sent.status_code == 202
            await until(lambda: bool(receiver.told))
            types = (await client.get("/api/v1/webhooks/event-types")).json()["items"]
            assert (await client.get("/api/v1/events")).json()["items"] == []
    [told] = receiver.told
    body = json.loads(told.body)
    assert (told.path, told.headers["x-t"], told.headers["webhook-id"]) == ("/this", "v", sent.json()["event_id"])
    [example] = [each["example"] for each in types if each["type"] == "agent.execution.completed"]
    assert body == example | {"id": sent.json()["event_id"], "created": body["created"]}
    assert body["id"].startswith("evt_test_")
