"""Secrets over HTTP whose values lie in a HashiCorp Vault: the same answers, and nothing of them in our database."""

import asyncio
import threading
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
    known = HashicorpVault(address=vault.url, role_id=ROLE_ID, secret_id=SECRET_ID, timeout_seconds=60)
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


async def test_a_slow_vault_holds_nobody_up(api: Api, vault: FakeVault) -> None:
    """Before it answers any of the requests that each kind of change takes, others write to the database."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        await stored(client, "k", "one")
        await stored(client, "k", "two")
        changes = [
            ("", {"key": "k", "value": "three"}),
            ("", {"key": "new", "value": "one"}),
            ("/k/rotate", {"value": "four"}),
            ("/k/rollback", {"version": 1}),
            ("/k/destroy", {"versions": [2]}),
        ]
        for path, body in changes:
            vault.passes = threading.Semaphore(0)
            changing = asyncio.create_task(client.post(f"{SECRETS}{path}", json=body, timeout=60))
            held = 0
            async with asyncio.timeout(60):
                while not changing.done():
                    await asyncio.sleep(0.01)
                    if vault.waiting.is_set():
                        vault.waiting.clear()
                        await api.tenant()  # some writes, in transactions of their own
                        held += 1
                        vault.passes.release()
            vault.passes = None
            answer = await changing
            assert answer.status_code in (200, 201), answer.text
            assert held >= 1, path
        assert await value_of(client, "k") == "one"


async def test_many_who_write_at_once_all_succeed(api: Api, vault: FakeVault) -> None:
    """Each gets a version of its own, which is what it wrote; of many with the same `cas` one does."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        answers = await asyncio.gather(*(stored(client, "k", f"value {number}") for number in range(12)))
        assert sorted(answer["version"] for answer in answers) == list(range(1, 13))
        found = {await value_of(client, "k", version=number) for number in range(1, 13)}
        assert found == {f"value {number}" for number in range(12)}
        bodies = [{"value": f"again {number}", "cas": 12} for number in range(8)]
        racing = await asyncio.gather(*(client.post(f"{SECRETS}/k/rotate", json=body) for body in bodies))
        assert sorted(answer.status_code for answer in racing) == [200] + [409] * 7
