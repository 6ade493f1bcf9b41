"""API keys over HTTP: made, shown once, changed, rotated, revoked; and none is worth more than who made it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from core.clock import FrozenClock
from core.ids import TenantId
from server.auth.api_keys.service import ApiKeys, ensure_development_key
from server.auth.principal import Scope
from stores.audit import verify
from stores.sql.models import ApiKeyRow, AuditEventRow
from tests.integration.server.running import Api

KEYS = "/api/v1/auth/api-keys"
DOCUMENTS = "/api/v1/rag/documents"
MINIMAL = {"name": "laptop", "scopes": ["rag:read"]}


async def made(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.post(KEYS, json=MINIMAL | asked)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def status_of(api: Api, key: str) -> int:
    async with api.client(key) as client:
        return (await client.get(DOCUMENTS)).status_code


async def actions(api: Api, tenant_id: str) -> Sequence[str]:
    query = select(AuditEventRow.action).where(AuditEventRow.tenant_id == tenant_id).order_by(AuditEventRow.sequence)
    async with api.database.reading() as session:
        return (await session.scalars(query)).all()


async def test_a_key_is_shown_once(api: Api, client: httpx.AsyncClient) -> None:
    """It works at once, for its scopes; no later answer holds it or its hash, and no cache keeps the first."""
    answer = await client.post(KEYS, json=MINIMAL | {"mode": "test"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    key, view = answer.json()["key"], answer.json()["api_key"]
    assert key.startswith("cxk_test_")
    assert view["mode"] == "test"
    assert key.startswith(view["prefix"])
    assert await status_of(api, key) == 200
    async with api.client(key) as limited:
        assert (await limited.get(KEYS)).json()["error"]["details"]["required_scope"] == "keys:read"
    async with api.database.reading() as session:
        hashes = list(await session.scalars(select(ApiKeyRow.key_hash)))
    for later in (await client.get(KEYS), await client.get(f"{KEYS}/{view['id']}")):
        assert view["id"] in later.text
        assert not any(secret in later.text for secret in [key, *hashes])


async def test_keys_are_listed_in_pages(client: httpx.AsyncClient) -> None:
    """Newest first, each once, and without the revoked ones."""
    ids = [(await made(client, name=str(number)))["api_key"]["id"] for number in range(3)]
    await client.delete(f"{KEYS}/{ids[0]}")
    page = (await client.get(KEYS, params={"limit": 2})).json()
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    assert (page["total"], page["has_more"]) == (3, True)
    assert not (await client.get(KEYS, params={"skip": 2})).json()["has_more"]


@pytest.mark.parametrize(
    "fault",
    [
        {"name": " "},
        {"scopes": []},
        {"scopes": ["rag:everything"]},
        {"mode": "debug"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": 4_000_000_000},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
    ],
)
async def test_a_faulty_key_is_not_made(client: httpx.AsyncClient, fault: dict[str, Any]) -> None:
    """Each fault is pointed at."""
    refused = await client.post(KEYS, json=MINIMAL | fault)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["details"]["violations"][0]["pointer"].startswith(f"/{next(iter(fault))}")


async def test_no_key_is_worth_more_than_its_maker(api: Api) -> None:
    """Who lacks a scope can neither make a key with it, nor give it to one, nor rotate one that has it."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as full:
        strong = (await made(full, scopes=["rag:read", "members:write"]))["api_key"]["id"]
    few = await api.key(tenant_id, [Scope.KEYS_WRITE, Scope.KEYS_READ, Scope.RAG_READ])
    async with api.client(few) as client:
        own = (await made(client))["api_key"]["id"]
        for refused in (
            await client.post(KEYS, json=MINIMAL | {"scopes": ["rag:write"]}),
            await client.patch(f"{KEYS}/{own}", json={"scopes": ["rag:write"]}),
            await client.patch(f"{KEYS}/{strong}", json={"expires_at": None}),
            await client.post(f"{KEYS}/{strong}/rotate", json={}),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "AUTHORIZATION_FAILED")
        assert (await client.delete(f"{KEYS}/{strong}")).status_code == 200


async def test_a_change_is_not_lost(client: httpx.AsyncClient) -> None:
    """The second of two who read the same version is told so; what is not named stays."""
    view = (await made(client, expires_at="2100-01-01T01:00:00+01:00"))["api_key"]
    assert view["expires_at"] == "2100-01-01T00:00:00Z"
    path = f"{KEYS}/{view['id']}"
    tag = (await client.get(path)).headers["etag"]
    first = await client.patch(path, json={"name": "desk"}, headers={"if-match": tag})
    assert (first.status_code, first.json()["name"], first.json()["expires_at"]) == (200, "desk", view["expires_at"])
    second = await client.patch(path, json={"name": "shelf"}, headers={"if-match": tag})
    assert (second.status_code, second.json()["error"]["code"]) == (412, "CONFLICT")
    assert (await client.patch(path, json={}, headers={"if-match": "3"})).status_code == 400
    cleared = await client.patch(path, json={"expires_at": None}, headers={"if-match": first.headers["etag"]})
    assert (cleared.json()["name"], cleared.json()["expires_at"]) == ("desk", None)


async def test_a_revoked_key_is_gone(api: Api, client: httpx.AsyncClient) -> None:
    """It opens nothing, and cannot be found, changed, rotated or revoked again."""
    whole = await made(client)
    path = f"{KEYS}/{whole['api_key']['id']}"
    assert (await client.delete(path)).status_code == 200
    assert await status_of(api, whole["key"]) == 401
    for answer in (
        await client.get(path),
        await client.patch(path, json={}),
        await client.post(f"{path}/rotate", json={}),
        await client.delete(path),
    ):
        assert answer.status_code == 404


async def test_both_keys_work_while_one_replaces_the_other(api: Api, client: httpx.AsyncClient) -> None:
    """The old one ends when the overlap does, and is rotated once; with no overlap it ends at once."""
    old = await made(client, mode="test", scopes=["rag:read", "keys:read"])
    path = f"{KEYS}/{old['api_key']['id']}"
    before = datetime.now(UTC)
    answer = await client.post(f"{path}/rotate", json={})
    new = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert [await status_of(api, key) for key in (old["key"], new["key"])] == [200, 200]
    assert {name: new["api_key"][name] for name in ("name", "mode", "scopes", "expires_at")} == {
        name: old["api_key"][name] for name in ("name", "mode", "scopes", "expires_at")
    }
    shown = (await client.get(path)).json()
    assert shown["replaced_by"] == new["api_key"]["id"]
    ends = datetime.fromisoformat(shown["expires_at"])
    assert timedelta(0) <= ends - before - timedelta(hours=24) < timedelta(minutes=1)
    assert (await client.post(f"{path}/rotate", json={})).status_code == 409
    assert (await client.patch(path, json={"expires_at": None})).status_code == 409
    await client.post(f"{KEYS}/{new['api_key']['id']}/rotate", json={"overlap_seconds": 0})
    async with api.database.reading() as session:
        row = await session.get(ApiKeyRow, new["api_key"]["id"])
    assert row is not None
    assert row.expires_at is not None
    assert row.expires_at <= datetime.now(UTC)
    assert (await client.post(f"{path}/rotate", json={"overlap_seconds": 30 * 86400 + 1})).status_code == 400


async def test_an_overlap_does_not_outlive_the_key(client: httpx.AsyncClient) -> None:
    """A key that ends sooner than the overlap ends when it always would have."""
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    view = (await made(client, expires_at=soon))["api_key"]
    await client.post(f"{KEYS}/{view['id']}/rotate", json={})
    assert (await client.get(f"{KEYS}/{view['id']}")).json()["expires_at"] == view["expires_at"]


async def test_two_rotations_at_once_make_one_key(client: httpx.AsyncClient) -> None:
    """The other one is told that it came second."""
    path = f"{KEYS}/{(await made(client))['api_key']['id']}/rotate"
    answers = await asyncio.gather(*(client.post(path, json={}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_every_change_of_a_key_is_on_record(api: Api) -> None:
    """Four changes, four entries in a chain that holds; a refused one leaves none."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        path = f"{KEYS}/{(await made(client))['api_key']['id']}"
        await client.patch(path, json={"name": "desk"})
        await client.patch(path, json={"name": "shelf"}, headers={"if-match": '"1"'})
        await client.post(f"{path}/rotate", json={})
        await client.delete(path)
    assert await actions(api, tenant_id) == [
        "api_key.created",
        "api_key.changed",
        "api_key.rotated",
        "api_key.revoked",
    ]
    async with api.database.reading() as session:
        assert (await verify(session, TenantId(tenant_id))).holds


async def test_use_is_written_down_at_most_once_a_minute(api: Api) -> None:
    """Not while the request runs, and not again before a minute has passed."""
    _, key = await api.tenant()
    clock = FrozenClock()
    keys = ApiKeys(api.database, clock)

    async def last_used() -> datetime | None:
        async with api.database.reading() as session:
            return await session.scalar(select(ApiKeyRow.last_used_at))

    first = clock.now()
    await keys.find(key)
    assert await last_used() is None
    for passed, expected in ((0, first), (59, first), (1, first + timedelta(seconds=60))):
        clock.advance(timedelta(seconds=passed))
        await keys.find(key)
        await keys.write_uses()
        assert await last_used() == expected


async def test_a_kept_development_key_learns_new_scopes(api: Api) -> None:
    """One from an older version, which knew fewer, is widened rather than replaced."""
    clock = FrozenClock()
    key = await ensure_development_key(api.database, clock, kept=None)
    async with api.database.transaction() as session:
        await session.execute(update(ApiKeyRow).values(scopes=["rag:read"]))
    assert await ensure_development_key(api.database, clock, kept=key) == key
    principal = await ApiKeys(api.database, clock).find(key)
    assert principal is not None
    assert principal.scopes == frozenset(Scope)
