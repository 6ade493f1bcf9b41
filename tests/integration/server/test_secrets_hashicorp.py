"""Secrets over HTTP whose values lie in a HashiCorp Vault: the same answers, and nothing of them in our database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.settings import HashicorpVault
from stores import embedded_redis
from tests.fakes.vault_server import ROLE_ID, SECRET_ID, FakeVault, serving
from tests.integration.server.guarded import SECRETS, guarding, stored, value_of
from tests.integration.server.running import Api


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it has tests of its own."""
    with embedded_redis.running(tmp_path / "redis") as url:
        yield url


@pytest.fixture
def vault() -> Iterator[FakeVault]:
    with serving(FakeVault()) as vault:
        yield vault


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, vault: FakeVault) -> AsyncIterator[Api]:
    known = HashicorpVault(address=vault.url, role_id=ROLE_ID, secret_id=SECRET_ID)
    async with guarding(tmp_path, database_url, redis_url, hashicorp_vault=known) as api:
        yield api


async def test_a_secret_lives_in_the_vault(api: Api, vault: FakeVault) -> None:
    """Stored, rotated, rolled back, destroyed: versions lie in the engine, under tenant and key."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "db/password", "one")
        rotated = await client.post(f"{SECRETS}/db%2Fpassword/rotate", json={"value": "two"})
        assert rotated.status_code == 200, rotated.text
        assert [await value_of(client, "db/password"), await value_of(client, "db/password", version=1)] == [
            "two",
            "one",
        ]
        back = await client.post(f"{SECRETS}/db%2Fpassword/rollback", json={"version": 1})
        assert (back.status_code, await value_of(client, "db/password")) == (200, "one")
        [(path, kept)] = vault.secrets.items()
        assert (path, sorted(kept.kept)) == (f"codexos/{tenant_id}/db/password", [1, 2, 3])
        gone = await client.post(f"{SECRETS}/db%2Fpassword/destroy", json={"versions": [2]})
        assert (gone.status_code, kept.kept[2]) == (200, None)


async def test_a_sealed_vault_is_503_and_leaves_no_trace(api: Api, vault: FakeVault) -> None:
    """With Retry-After, for reading and for writing; afterwards both work, and nothing was half done."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "k", "one")
        vault.sealed = True
        refused = [
            await client.get(f"{SECRETS}/k"),
            await client.post(SECRETS, json={"key": "k", "value": "two"}),
            await client.post(SECRETS, json={"key": "new", "value": "two"}),
        ]
        assert [(answer.status_code, answer.headers["retry-after"]) for answer in refused] == [(503, "5")] * 3
        listed = (await client.get(SECRETS)).json()["items"]
        assert [(item["key"], item["version"]) for item in listed] == [("k", 1)]
        vault.sealed = False
        assert await value_of(client, "k") == "one"
        assert (await stored(client, "k", "two"))["version"] == 2
