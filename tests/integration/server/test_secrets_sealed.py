"""A store of secrets that is sealed or slow: 503, nothing half done, and well again without a restart."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from core.clock import SystemClock
from stores import embedded_redis
from stores.sql.models import AuditEventRow, OutboxRow
from tests.factories.safes import a_safe
from tests.fakes.moody_store import MoodyStore
from tests.integration.server.guarded import SECRETS, guarding, refusal, stored, value_of
from tests.integration.server.running import Api
from vault import open as opening
from vault.keeper import SecretKeeper
from vault.memory import MemoryStore


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it has tests of its own."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MoodyStore:
    store = MoodyStore()
    monkeypatch.setattr(opening, "open_secret_store", lambda *_: store)
    return store


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, store: MoodyStore) -> AsyncIterator[Api]:
    async with guarding(tmp_path, database_url, redis_url) as api:
        yield api


async def written_down(api: Api) -> list[str]:
    async with api.database.reading() as session:
        events = list(await session.scalars(select(OutboxRow.type).order_by(OutboxRow.sequence)))
        chain = select(AuditEventRow.action).order_by(AuditEventRow.sequence)
        actions = [action for action in await session.scalars(chain) if action.startswith("secret.")]
    return events + actions


@pytest.mark.parametrize("mood", ["sealed", "slow"])
async def test_while_the_store_does_not_answer_the_api_says_so(api: Api, store: MoodyStore, mood: str) -> None:
    """Each operation that needs it: 503 with Retry-After and no trace. What does not, a list, goes on."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "k", "one")
        await stored(client, "k", "two")
        before = await written_down(api)
        store.mood = mood
        keyed = {"idempotency-key": "again"}
        for method, path, body in (
            ("GET", f"{SECRETS}/k", None),
            ("POST", SECRETS, {"key": "k", "value": "three"}),
            ("POST", f"{SECRETS}/k/rotate", {"value": "three"}),
            ("POST", f"{SECRETS}/k/rollback", {"version": 1}),
        ):
            refused = await client.request(method, path, json=body, headers=keyed)
            assert refusal(refused) == (503, "SERVICE_UNAVAILABLE"), path
            assert int(refused.headers["retry-after"]) >= 1
            assert "store of secrets" in refused.json()["error"]["message"]
        assert (await client.get(SECRETS)).json()["items"][0]["version"] == 2
        assert await written_down(api) == before
        store.mood = "well"
        assert await value_of(client, "k") == "two"
        rotated = await client.post(f"{SECRETS}/k/rotate", json={"value": "three"}, headers=keyed)
        assert (rotated.status_code, rotated.json()["version"]) == (200, 3)
        assert await value_of(client, "k") == "three"


@pytest.mark.parametrize("mood", ["sealed", "slow"])
async def test_what_is_destroyed_meanwhile_is_gone(api: Api, store: MoodyStore, mood: str) -> None:
    """At once for whoever asks, and in the store when it is back: nobody has to ask again."""
    tenant_id, key = await api.tenant()
    keeper = SecretKeeper(safe=a_safe(api.database, SystemClock(), store))
    async with api.client(key) as client:
        for value in ("one", "two"):
            await stored(client, "k", value)
            await stored(client, "other", value)
        store.mood = mood
        assert (await client.post(f"{SECRETS}/k/destroy", json={"versions": [1]})).status_code == 200
        assert (await client.post(f"{SECRETS}/other/destroy", json={})).status_code == 200
        assert (await client.get(f"{SECRETS}/k", params={"version": 1})).status_code == 404
        assert len(await MemoryStore.kept(store, tenant_id)) == 4
        assert await keeper.destroy_elsewhere() == 0
        store.mood = "well"
        assert await keeper.destroy_elsewhere() == 3
        assert [each.key for each in await store.kept(tenant_id)] == ["k"]
        assert await value_of(client, "k") == "two"
        assert await keeper.destroy_elsewhere() == 0
