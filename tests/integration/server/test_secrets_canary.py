"""No secret of the vault is anywhere but under its seal: in no table, log, event, delivery, number, refusal or file."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import pytest
from sqlalchemy import update

from assets.resources import PlatformResource
from assets.secrets.sensors import secret_keeper
from core.clock import SystemClock
from core.ids import new_id
from server.auth.api_keys.service import create_key, create_tenant
from server.auth.principal import Scope
from stores import embedded_redis
from stores.sql.engine import Database
from stores.sql.models import SecretValueRow
from tests.acceptance.system import free_ports
from tests.fakes.receiver import receiving
from tests.integration.server.guarded import CODE, SECRETS, Person
from tests.integration.server.hooked import ENDPOINTS
from tests.integration.server.served import ServedApi, served
from tests.integration.server.test_canary import JSON, Canaries, Visitor, counted, encodings, until_worked
from tests.integration.server.test_canary import stored as every_column

_TOLD_SECONDS = 60


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is written to it is the same."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


async def live(ask: Visitor, canaries: Canaries, key: str) -> None:
    """Store, read, retry, rotate, roll back and destroy secrets of several shapes."""
    secrets = canaries.secrets
    secrets |= {"quoted": f'canary "{new_id()}" ü', "plain": f"sk_live_{new_id()}", "lines": f"a{new_id()}\nb\\c"}
    for name, secret in list(secrets.items()):
        keyed = {"idempotency-key": new_id()}
        for _ in range(2):  # the second answer is the kept one
            body = {"key": f"app/{name}", "value": secret}
            await ask(201, "POST", SECRETS, key=key, headers=keyed, json=body)
        assert (await ask(200, "GET", f"{SECRETS}/app/{name}", key=key))["value"] == secret
        secrets[f"{name}, rotated"] = f"{secret}{new_id()}"
        rotation = {"value": secrets[f"{name}, rotated"], "expires_at": soon(days=6)}
        await ask(200, "POST", f"{SECRETS}/app/{name}/rotate", key=key, headers=keyed, json=rotation)
        await ask(200, "POST", f"{SECRETS}/app/{name}/rollback", key=key, json={"version": 1})
        for path in ("", "/app/quoted/versions", "/app/quoted/usage"):
            await ask(200, "GET", f"{SECRETS}{path}", key=key)


async def err(ask: Visitor, canaries: Canaries, key: str) -> None:
    """Put every secret where it is refused."""
    for secret in canaries.secrets.values():
        keyed = {"idempotency-key": new_id()}
        body = {"key": "app/plain", "value": secret, "cas": 99}
        await ask(409, "POST", SECRETS, key=key, headers=keyed, json=body)
        await ask(422, "POST", SECRETS, key=key, headers=keyed, json=body | {"cas": 98})
        await ask(400, "POST", SECRETS, key=key, json=body | {"cas": secret})
        await ask(400, "POST", SECRETS, key=key, json=body | {"key": secret + " "})
        await ask(400, "POST", SECRETS, key=key, json=body | {"tags": [secret + " "]})
        await ask(400, "POST", SECRETS, key=key, json={"key": "k", "value": {"nested": secret}})
        await ask(400, "POST", SECRETS, key=key, content=json.dumps(body)[:-3], headers=JSON)
        await ask(400, "GET", f"{SECRETS}/{quote(secret + ' ', safe='')}", key=key)
        await ask(404, "GET", f"{SECRETS}/app/nothing", key=key, headers={CODE: secret.encode()[:20]})
        await ask(401, "POST", SECRETS, json=body)


async def break_down(ask: Visitor, canaries: Canaries, database: Database, key: str) -> None:
    """Let a read meet a value that was tampered with: a failure of ours, with a trace in the log."""
    async with database.transaction() as session:
        await session.execute(update(SecretValueRow).values(sealed_value=b"tampered with by the test"))
    await ask(500, "GET", f"{SECRETS}/app/plain", key=key)


def soon(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def tick(folder: Path) -> None:
    """Let Dagster look after secrets, in an instance whose storage is searched like the rest."""
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        platform = PlatformResource()
        with dg.build_sensor_context(instance=instance, resources={"platform": platform}) as context:
            skipped = secret_keeper(context)
        assert isinstance(skipped, dg.SkipReason)
        assert str(skipped.skip_message).startswith("Told 3 ends")
        instance.report_runless_asset_event(dg.AssetMaterialization("k", metadata={"said": str(skipped.skip_message)}))


async def test_no_secret_is_anywhere_but_under_its_seal(
    database: Database, database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 of them, in none of seven encodings, though all was logged at DEBUG, told, delivered, refused and broken."""
    clock, canaries = SystemClock(), Canaries()
    tenant_id = await create_tenant(database, clock, "canary")
    key = await create_key(database, clock, tenant_id, name="canary", mode="live", scopes=tuple(Scope))
    settings = {"CODEXOS_LOG_LEVEL": "DEBUG", "CODEXOS_EGRESS_ALLOW": "127.0.0.0/8"}
    [port] = free_ports(1)
    api = ServedApi(tmp_path, port, database_url, redis_url, **settings)
    helpers = [
        ServedApi(tmp_path, number, database_url, redis_url, ("server", name), **settings)
        for number, name in ((1, "worker"), (2, "dispatcher"))
    ]
    ask = Visitor(api, canaries)
    try:
        with receiving() as receiver:
            for helper in helpers:
                helper.begin()
            async with served(api):
                hook = {"url": f"{receiver.url}/hook", "event_types": ["*"]}
                await ask(201, "POST", ENDPOINTS, key=key, json=hook)
                posted = {"source_type": "text", "source": "The dome opens at dusk."}
                job = await ask(202, "POST", "/api/v1/rag/ingest", key=key, json=posted)
                await live(ask, canaries, key)
                async with api.client() as browser:
                    person = await Person.registered(browser, database)
                    await person.enrol()
                    guarded = {"key": "g", "value": canaries.secrets["plain"], "require_mfa": True}
                    (await browser.post(SECRETS, json=guarded)).raise_for_status()
                    assert (await person.read("g", person.wrong_code())).status_code == 401
                    assert (await person.read("g", await person.code())).status_code == 200
                await err(ask, canaries, key)
                for name in ("quoted", "plain", "lines"):  # versions with an end are current again
                    rotation = {"value": canaries.secrets[f"{name}, rotated"], "expires_at": soon(days=5)}
                    await ask(200, "POST", f"{SECRETS}/app/{name}/rotate", key=key, json=rotation)
                monkeypatch.setenv("CODEXOS_HOME", str(tmp_path))
                monkeypatch.setenv("CODEXOS_DATABASE_URL", database_url)
                monkeypatch.setenv("CODEXOS_REDIS_URL", redis_url)
                await asyncio.to_thread(tick, tmp_path / "dagster")
                await until_worked(ask, key, job["job_id"])
                await break_down(ask, canaries, database, key)
                async with asyncio.timeout(_TOLD_SECONDS):
                    while not any(b"vault.secret.expiring" in each.body for each in receiver.told):
                        await asyncio.sleep(0.1)
                async with api.client() as client:
                    numbers = (await client.get("/metrics")).content
                delivered = b"\n".join(each.body + str(each.headers).encode() for each in receiver.told)
    finally:
        for helper in helpers:
            helper.kill()
    assert len(canaries.secrets) == 6
    assert b"vault.secret.rotated" in delivered
    assert "SecretBroken" in api.log.read_text("utf-8")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" or "dagster" in str(path) for path in files)
    assert any("lance" in str(path) for path in files)
    searched = {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}
    searched |= {"metrics": numbers, "refusals": b"\n".join(canaries.refusals), "deliveries": delivered}
    searched |= {"database": await every_column(database), "redis": await counted(redis_url)}
    assert len(canaries.refusals) > 50
    assert {place: found for place, content in searched.items() if (found := canaries.found_in(content))} == {}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_search_finds_what_is_planted(database: Database) -> None:
    """A control for each encoding: in a column that holds text, a secret is found by the same search."""
    canaries = Canaries(secrets={name: f'canary "{new_id()}"' for name in encodings("x")})
    for encoding, secret in canaries.secrets.items():
        written = encodings(secret)[encoding].decode()
        for _ in range(2):
            await create_tenant(database, SystemClock(), f"before {written} after")
    found = canaries.found_in(await every_column(database))
    assert {f"{encoding}, {encoding}" for encoding in encodings("x")} <= set(found)
