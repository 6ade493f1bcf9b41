"""Secrets through the API: stored and given out, in versions, until they end, and named by keys with slashes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import select, text

from core.clock import SystemClock
from server.auth.principal import Scope
from stores import embedded_redis
from stores.sql.models import AuditEventRow, IdempotencyRow, OutboxRow
from tests.integration.server.guarded import SECRETS, guarding, refusal, stored, value_of
from tests.integration.server.running import Api, running, settings_for

REFERENCE = {
    "key": "openai_api_key",
    "value": "sk-...",
    "tags": ["api-key", "openai"],
    "expires_at": "2024-12-31T23:59:59Z",
}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it has tests of its own."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with guarding(tmp_path, database_url, redis_url) as api:
        yield api


def soon(**later: float) -> str:
    return (SystemClock().now() + timedelta(**later)).isoformat()


async def told(api: Api) -> list[tuple[str, dict[str, Any]]]:
    async with api.database.reading() as session:
        rows = await session.execute(select(OutboxRow.type, OutboxRow.payload).order_by(OutboxRow.sequence))
        return [(kind.removeprefix("vault.secret."), payload) for kind, payload in rows if kind.startswith("vault.")]


async def test_the_references_block_is_taken_literally(client: httpx.AsyncClient) -> None:
    """201 with all but the value. Its date is past by now, so it is not given out: 410."""
    made = await client.post(SECRETS, json=REFERENCE)
    assert made.status_code == 201, made.text
    assert "sk-..." not in made.text
    view = made.json()
    assert (view["key"], view["version"], view["tags"]) == ("openai_api_key", 1, ["api-key", "openai"])
    assert datetime.fromisoformat(view["expires_at"]) == datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert refusal(await client.get(f"{SECRETS}/openai_api_key")) == (410, "SECRET_EXPIRED")


async def test_a_secret_is_given_out_and_kept_by_no_cache(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """To the byte, whatever the text; to another tenant it does not exist."""
    value = 'ü "quoted" \\ \n\t 🔑' + "x" * 60_000
    await stored(client, "db/prod.password", value, tags=["b", "a", "b"])
    answer = await client.get(f"{SECRETS}/db/prod.password")
    assert answer.json() == {"key": "db/prod.password", "version": 1, "value": value, "expires_at": None}
    assert (answer.headers["cache-control"], answer.headers["etag"]) == ("no-store", '"1"')
    assert refusal(await stranger.get(f"{SECRETS}/db/prod.password")) == (404, "RESOURCE_NOT_FOUND")
    [listed] = (await client.get(SECRETS)).json()["items"]
    assert (listed["key"], listed["tags"]) == ("db/prod.password", ["a", "b"])
    assert "value" not in listed


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "A",
        "a.b",
        "...",
        "a/...b",
        "-",
        "_/_",
        "versions",
        "a/versions",
        "a/b/rotate",
        "x" * 255,
        "a/usage/versions",
    ],
)
async def test_every_key_is_reached(client: httpx.AsyncClient, key: str) -> None:
    """With its slashes encoded, each; with plain ones, each that does not end in a word of these paths."""
    await stored(client, key, f"value of {key[:20]}")
    place = f"{SECRETS}/{quote(key, safe='')}"
    assert (await client.get(place)).json()["value"] == f"value of {key[:20]}"
    assert [item["number"] for item in (await client.get(f"{place}/versions")).json()["items"]] == [1]
    assert (await client.post(f"{place}/rotate", json={"value": "new"})).json()["version"] == 2
    assert [item["version"] for item in (await client.get(f"{place}/usage")).json()["items"]] == [1]
    assert (await client.delete(place)).json()["deleted_at"] is not None
    assert (await client.post(f"{place}/undelete")).json()["deleted_at"] is None
    if key.rpartition("/")[2] not in ("versions", "rotate") or "/" not in key:
        assert await value_of(client, key) == "new"
    assert (await client.post(f"{place}/destroy", json={})).json() == {"key": key, "versions": [1, 2]}
    assert (await client.get(place)).status_code == 404


async def test_keys_differ_by_every_byte(client: httpx.AsyncClient) -> None:
    """Upper and lower case are two, on every database; a word behind a plain slash is never a key's."""
    await stored(client, "Key", "upper")
    await stored(client, "key", "lower")
    await stored(client, "key/versions", "of a key")
    assert [await value_of(client, key) for key in ("Key", "key", "key%2Fversions")] == ["upper", "lower", "of a key"]
    assert (await client.get(f"{SECRETS}/key/versions")).json()["items"][0]["number"] == 1
    assert (await client.get(f"{SECRETS}/key/rotate")).status_code == 405
    assert (await client.delete(f"{SECRETS}/key/versions")).status_code == 405


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "a b", "ä", "a\u0308", "a%", "x" * 256, "a\n", "a\\b"]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_no_key_is_refused(client: httpx.AsyncClient, key: str) -> None:
    """When it is stored and when it is asked for: 400, and a sentence that says what a key is."""
    body = await client.post(SECRETS, json={"key": key, "value": "v"})
    asked = await client.get(f"{SECRETS}/{quote(key, safe='').replace('.', '%2E')}")
    for answer in (body, asked) if key else (body,):
        assert refusal(answer) == (400, "VALIDATION_ERROR")
        [fault] = answer.json()["error"]["details"]["violations"]
        assert fault["pointer"] == "/key"


@pytest.mark.parametrize(
    "given",
    [
        {"value": ""},
        {"value": "ü" * 32_769},
        {"value": 7},
        {"value": None},
        {"value": "a\0b"},
        {"tags": ["with space"]},
        {"tags": ["a"] * 21},
        {"allowed_hosts": ["https://example.com"]},
        {"allowed_hosts": ["*"]},
        {"allowed_hosts": ["*.*.com"]},
        {"allowed_hosts": ["Example.com"]},
        {"expires_at": "tomorrow"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"require_mfa": "yes"},
        {"cas": -1},
        {"surprise": True},
    ],
    ids=lambda given: str(given)[:30],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_be_meant_is_refused(client: httpx.AsyncClient, given: dict[str, Any]) -> None:
    """400 that repeats no value, and nothing is stored."""
    answer = await client.post(SECRETS, json={"key": "k", "value": "hunter2"} | given)
    assert refusal(answer) == (400, "VALIDATION_ERROR"), answer.text
    assert "hunter2" not in answer.text
    assert "üü" not in answer.text
    assert (await client.get(SECRETS)).json()["items"] == []


async def test_a_value_may_have_64_kibibytes_and_no_byte_more(client: httpx.AsyncClient) -> None:
    """Counted as UTF-8."""
    await stored(client, "long", "ü" * 32_768)
    assert len((await value_of(client, "long")).encode()) == 65_536
    refused = await client.post(SECRETS, json={"key": "long", "value": "ü" * 32_768 + "x"})
    assert refusal(refused) == (400, "VALIDATION_ERROR")


async def test_a_key_written_again_has_another_version(client: httpx.AsyncClient) -> None:
    """What is left out of its terms stays; each version stays readable, and has its own end."""
    await stored(client, "k", "one", tags=["t"], allowed_hosts=["api.example.com"], expires_at=soon(hours=1))
    second = await stored(client, "k", "two")
    assert (second["version"], second["tags"], second["allowed_hosts"]) == (2, ["t"], ["api.example.com"])
    assert second["expires_at"] is None
    assert [await value_of(client, "k", **asked) for asked in ({}, {"version": 1}, {"version": 2})] == [
        "two",
        "one",
        "two",
    ]
    for nobodys in (3, 2**31 - 1):
        assert refusal(await client.get(f"{SECRETS}/k", params={"version": nobodys})) == (404, "RESOURCE_NOT_FOUND")
    too_large = await client.get(f"{SECRETS}/k", params={"version": 2**31})
    assert refusal(too_large) == (400, "VALIDATION_ERROR")
    versions = (await client.get(f"{SECRETS}/k/versions")).json()
    assert [(item["number"], item["state"]) for item in versions["items"]] == [(2, "current"), (1, "superseded")]
    assert versions["total"] == 2


async def test_nobody_overwrites_what_they_have_not_seen(client: httpx.AsyncClient) -> None:
    """`cas` 0 makes only, n replaces version n only; of 8 at once with the same, one goes through."""
    assert (await client.post(SECRETS, json={"key": "k", "value": "1", "cas": 0})).status_code == 201
    assert refusal(await client.post(SECRETS, json={"key": "k", "value": "2", "cas": 0})) == (409, "CONFLICT")
    at_once = [client.post(SECRETS, json={"key": "k", "value": f"{number}", "cas": 1}) for number in range(8)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*at_once))
    assert statuses == [201, *[409] * 7]
    stale = await client.post(f"{SECRETS}/k/rotate", json={"value": "x", "cas": 1})
    assert refusal(stale) == (409, "CONFLICT")


async def test_an_earlier_version_comes_back_as_a_new_one(client: httpx.AsyncClient) -> None:
    """Its value under the next number: history is added to, never changed."""
    for value in ("one", "two"):
        await stored(client, "k", value)
    rolled = (await client.post(f"{SECRETS}/k/rollback", json={"version": 1})).json()
    assert (rolled["version"], rolled["previous_version"], rolled["status"]) == (3, 2, "succeeded")
    assert await value_of(client, "k") == "one"
    assert refusal(await client.post(f"{SECRETS}/k/rollback", json={"version": 9})) == (404, "RESOURCE_NOT_FOUND")


async def test_what_was_deleted_comes_back_and_what_was_destroyed_does_not(client: httpx.AsyncClient) -> None:
    """A deleted secret is found by nobody and listed apart; a destroyed version is gone, the others are not."""
    for value in ("one", "two", "three"):
        await stored(client, "k", value)
    deleted = (await client.delete(f"{SECRETS}/k")).json()
    assert datetime.fromisoformat(deleted["undelete_until"]) > datetime.now(UTC)
    assert refusal(await client.get(f"{SECRETS}/k")) == (404, "RESOURCE_NOT_FOUND")
    assert refusal(await client.get(f"{SECRETS}/k", params={"version": 1})) == (404, "RESOURCE_NOT_FOUND")
    assert (await client.get(SECRETS)).json()["items"] == []
    [listed] = (await client.get(SECRETS, params={"deleted": "true"})).json()["items"]
    assert (listed["key"], listed["deleted_at"]) == ("k", deleted["deleted_at"])
    await client.post(f"{SECRETS}/k/undelete")
    assert await value_of(client, "k") == "three"
    destroyed = await client.post(f"{SECRETS}/k/destroy", json={"versions": [1]})
    assert destroyed.json() == {"key": "k", "versions": [1]}
    assert refusal(await client.get(f"{SECRETS}/k", params={"version": 1})) == (404, "RESOURCE_NOT_FOUND")
    assert await value_of(client, "k", version=2) == "two"
    states = {item["number"]: item["state"] for item in (await client.get(f"{SECRETS}/k/versions")).json()["items"]}
    assert states == {3: "current", 2: "superseded", 1: "destroyed"}


async def test_lists_are_paged_and_filtered(client: httpx.AsyncClient) -> None:
    """By tag, by when they expire; page by page, none twice."""
    for number in range(25):
        await stored(client, f"s{number}", tags=["even" if number % 2 == 0 else "odd"])
    await stored(client, "ends", expires_at=soon(days=3))
    await stored(client, "later", expires_at=soon(days=30))
    first = (await client.get(SECRETS, params={"limit": 20})).json()
    second = (await client.get(SECRETS, params={"limit": 20, "cursor": first["next_cursor"]})).json()
    keys = [item["key"] for item in first["items"] + second["items"]]
    assert (len(keys), len(set(keys)), first["total"], second["has_more"]) == (27, 27, 27, False)
    even = (await client.get(SECRETS, params={"tag": "even", "limit": 100})).json()
    assert {item["key"] for item in even["items"]} == {f"s{number}" for number in range(0, 25, 2)}
    ending = (await client.get(SECRETS, params={"expires_before": soon(days=7)})).json()
    assert [item["key"] for item in ending["items"]] == ["ends"]


async def test_whoever_may_list_may_not_read(api: Api) -> None:
    """Three scopes: which there are, what they are, and changing them."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "k")
    scoped = {
        scope: await api.key(tenant_id, [scope]) for scope in (Scope.VAULT_LIST, Scope.VAULT_READ, Scope.VAULT_WRITE)
    }
    calls: dict[tuple[str, str], Scope] = {
        ("GET", ""): Scope.VAULT_LIST,
        ("GET", "/k/versions"): Scope.VAULT_LIST,
        ("GET", "/k/usage"): Scope.VAULT_LIST,
        ("GET", "/k"): Scope.VAULT_READ,
        ("DELETE", "/k"): Scope.VAULT_WRITE,
    }
    for (method, path), needed in calls.items():
        for scope, scoped_key in scoped.items():
            async with api.client(scoped_key) as client:
                answer = await client.request(method, f"{SECRETS}{path}")
            assert answer.status_code == (200 if scope == needed else 403), (method, path, scope)


async def test_what_happens_is_told_thinly(api: Api) -> None:
    """An event for each, in order; in the audit log too, and what the secret is stands in neither."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        principal = (await client.get("/api/v1/auth/me")).json()["subject"]
        await stored(client, "a/b", "hunter2")
        await value_of(client, "a/b")
        await client.post(f"{SECRETS}/a/b/rotate", json={"value": "hunter3"})
        await client.post(f"{SECRETS}/a/b/rollback", json={"version": 1})
        await client.post(f"{SECRETS}/a/b/destroy", json={"versions": [1]})
        await stored(client, "old", expires_at="2024-12-31T23:59:59Z")
        await client.get(f"{SECRETS}/old")
        [used] = (await client.get(f"{SECRETS}/a/b/usage")).json()["items"]
    events = await told(api)
    assert [kind for kind, _ in events] == [
        "created",
        "accessed",
        "rotated",
        "rotated",
        "destroyed",
        "created",
        "denied",
    ]
    assert events[1][1] == {"key": "a/b", "version": 1, "principal": principal, "flow": None, "execution": None}
    assert events[6][1] | {"principal": ""} == {
        "key": "old", "version": 1, "principal": "", "flow": None, "execution": None, "reason": "expired",
    }  # fmt: skip
    assert (used["version"], used["principal"], used["host"]) == (1, principal, None)
    async with api.database.reading() as session:
        chain = select(AuditEventRow).where(AuditEventRow.tenant_id == tenant_id).order_by(AuditEventRow.sequence)
        entries = list(await session.scalars(chain))
    actions = [entry.action for entry in entries if entry.resource_type == "secret"]
    assert actions == [f"secret.{each}" for each in (
        "created", "accessed", "rotated", "rolled_back", "destroyed", "created", "denied",
    )]  # fmt: skip
    assert "hunter" not in str([payload for _, payload in events] + [entry.details for entry in entries])


async def test_nothing_is_given_out_that_could_not_be_written_down(api: Api) -> None:
    """With the audit log's table gone, a read is refused and its value does not leave."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "k", "hunter2")
        async with api.database.transaction() as session:
            await session.execute(text("ALTER TABLE audit_events RENAME TO elsewhere"))
        answer = await client.get(f"{SECRETS}/k")
    assert answer.status_code in (500, 503)
    assert "hunter2" not in answer.text
    assert [kind for kind, _ in await told(api)] == ["created"]


async def test_a_retry_stores_once_and_its_record_tells_nothing(api: Api) -> None:
    """The kept answer has no value; what tells requests apart is no hash that somebody could try values against."""
    _, key = await api.tenant()
    body = {"key": "k", "value": "0000"}
    async with api.client(key) as client:
        first, second = [await client.post(SECRETS, json=body, headers={"idempotency-key": "i"}) for _ in range(2)]
        other = await client.post(SECRETS, json=body | {"value": "0001"}, headers={"idempotency-key": "i"})
        assert (first.status_code, second.content) == (201, first.content)
        assert second.headers["idempotent-replayed"] == "true"
        assert refusal(other) == (422, "IDEMPOTENCY_KEY_REUSED")
        assert (await client.get(f"{SECRETS}/k/versions")).json()["total"] == 1
    async with api.database.reading() as session:
        [kept] = await session.scalars(select(IdempotencyRow.fingerprint))
    async with guarding_elsewhere(api) as another:
        _, key = await another.tenant()
        async with another.client(key) as client:
            await client.post(SECRETS, json=body, headers={"idempotency-key": "i"})
        async with another.database.reading() as session:
            fingerprints = set(await session.scalars(select(IdempotencyRow.fingerprint)))
    assert len(fingerprints | {kept}) == 2


def guarding_elsewhere(api: Api) -> Any:
    """Serve the same database under another root key."""
    home = api.settings.home / "elsewhere"
    home.mkdir()
    return running(api.settings.model_copy(update={"home": home, "database_url": api.settings.sql_url}))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_while_nobody_counts_nothing_is_answered(database_url: str, tmp_path: Path) -> None:
    """Without Redis: 503 with Retry-After, for lists and values alike; what is not the vault's goes on."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            for answer in (await client.get(SECRETS), await client.get(f"{SECRETS}/k")):
                assert refusal(answer) == (503, "SERVICE_UNAVAILABLE")
                assert int(answer.headers["retry-after"]) >= 1
            assert (await client.get("/api/v1/rag/documents")).status_code == 200
