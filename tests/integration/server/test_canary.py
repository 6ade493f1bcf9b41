"""No credential that passes through the system stays anywhere in the open: logs, database, Redis, numbers, refusals."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import inspect, text, update

from core.clock import SystemClock
from core.ids import new_id
from server.auth.api_keys.service import create_key, create_tenant
from server.auth.principal import Scope
from stores import embedded_redis
from stores.sql.engine import Database
from stores.sql.models import TotpDeviceRow
from tests.acceptance.system import free_ports
from tests.integration.server.served import ServedApi, served
from vault import totp

WORKED_SECONDS = 120


@dataclass(kw_only=True)
class Canaries:
    """The credentials that were sent and answered, and every refusal that came back."""

    secrets: dict[str, str] = field(default_factory=dict)
    refusals: list[bytes] = field(default_factory=list)

    def found_in(self, content: bytes) -> list[str]:
        return [
            f"{name}, {encoding}"
            for name, secret in self.secrets.items()
            for encoding, written in encodings(secret).items()
            if written in content
        ]


def encodings(secret: str) -> dict[str, bytes]:
    """Return the ways a secret might be written down."""
    plain = secret.encode()
    return {
        "plain": plain,
        "url": quote(secret, safe="").encode(),
        "base64": base64.b64encode(plain).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(plain).rstrip(b"="),
        "hex": plain.hex().encode(),
        "json": json.dumps(secret).encode()[1:-1],
        "reversed": plain[::-1],
    }


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


class Visitor:
    """Sends canaries the right way and every wrong way, and keeps what was refused."""

    def __init__(self, api: ServedApi, canaries: Canaries) -> None:
        self._api, self._canaries = api, canaries

    async def __call__(
        self, status: int | tuple[int, int], method: str, path: str, *, key: str | None = None, **options: Any
    ) -> Any:
        async with self._api.client(key) as client:
            answer: httpx.Response = await client.request(method, path, **options)
        assert answer.status_code in (status if isinstance(status, tuple) else (status,)), answer.text
        if answer.status_code >= 400:
            self._canaries.refusals.append(answer.content + str(answer.headers).encode())
        return answer.json()


async def live(ask: Visitor, canaries: Canaries, database: Database, key: str) -> None:
    """Use every kind of credential as it should be used."""
    secrets = canaries.secrets
    secrets |= {"key": key, "password": f'canary "{new_id()}" ü', "new password": f"canary\\{new_id()}"}
    account = {"email": "canary@example.com", "password": secrets["password"]}
    await ask(201, "POST", "/api/v1/auth/register", json=account | {"name": "Canary"})
    pair = await ask(200, "POST", "/api/v1/auth/token", json=account)
    secrets |= {"access": pair["access_token"], "refresh": pair["refresh_token"]}
    pair = await ask(200, "POST", "/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    access = pair["access_token"]
    secrets |= {"second access": access, "second refresh": pair["refresh_token"]}
    keyed = {"idempotency-key": new_id()}
    for _ in range(2):  # the second answer is the kept one, credential and all
        made = await ask(
            201, "POST", "/api/v1/auth/api-keys", key=key, headers=keyed, json={"name": "k", "scopes": ["rag:read"]}
        )
    secrets["made key"] = made["key"]
    secret = (await ask(201, "POST", "/api/v1/auth/mfa/totp", key=access))["secret"]
    code = totp.code_at(base64.b32decode(secret), totp.step_of(datetime.now(UTC)))
    recovery = (await ask(200, "POST", "/api/v1/auth/mfa/totp/confirm", key=access, json={"code": code}))[
        "recovery_codes"
    ]
    secrets |= {"totp": secret} | {f"recovery {number}": each for number, each in enumerate(recovery)}
    async with database.transaction() as session:
        await session.execute(update(TotpDeviceRow).values(last_step=0))
    change = {"current_password": secrets["password"], "new_password": secrets["new password"]}
    await ask(200, "POST", "/api/v1/auth/password", key=access, json=change | {"mfa_code": recovery[0]})


async def err(ask: Visitor, canaries: Canaries) -> None:
    """Put every credential where it does not belong, and where it is refused."""
    for secret in canaries.secrets.values():
        wrong = {"email": "canary@example.com", "password": secret}
        await ask(400, "POST", "/api/v1/auth/token", json=wrong | {"remember": secret})
        await ask(400, "POST", "/api/v1/auth/token", content=json.dumps(wrong)[:-3], headers=JSON)
        await ask(401, "POST", "/api/v1/auth/refresh", json={"refresh_token": secret[:199] + "x"})
        keyed = JSON | {"idempotency-key": new_id()}
        body = json.dumps({"name": "k", "scopes": [secret], "password": secret})
        key = canaries.secrets["key"]
        await ask(400, "POST", "/api/v1/auth/api-keys", key=key, headers=keyed, content=body)
        await ask(404, "GET", f"/nowhere/{quote(secret, safe='')}", params={"token": secret})
        await ask(400, "GET", "/api/v1/rag/documents", key=key, params={"limit": secret})
    for name in ("made key", "access"):
        await ask(401, "GET", "/api/v1/auth/me", key=canaries.secrets[name] + "x")


async def break_down(ask: Visitor, canaries: Canaries, database: Database) -> None:
    """Let requests that carry credentials meet a database that fails: an exception of each."""
    async with database.transaction() as session:
        await session.execute(text("DROP TABLE refresh_tokens"))
    for secret in canaries.secrets.values():
        await ask((500, 503), "POST", "/api/v1/auth/refresh", json={"refresh_token": secret[:200]})


JSON = {"content-type": "application/json"}


async def stored(database: Database) -> bytes:
    """Return every column of every table as text."""
    async with database.reading() as session:
        connection = await session.connection()
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        rows = [list(await session.execute(text(f'SELECT * FROM "{table}"'))) for table in tables]
    assert sum(map(len, rows)) > 10
    return "\n".join(_written(value) for table in rows for row in table for value in row).encode()


def _written(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


async def counted(redis_url: str) -> bytes:
    """Return every key of Redis and its value as it is dumped."""
    async with Redis.from_url(redis_url) as redis:
        keys = [key async for key in redis.scan_iter()]
        assert keys
        values = [await redis.dump(key) or b"" for key in keys]
        return b"\n".join([*keys, *values])


async def until_worked(ask: Visitor, key: str, job_id: str) -> None:
    async with asyncio.timeout(WORKED_SECONDS):
        while (await ask(200, "GET", f"/api/v1/rag/jobs/{job_id}", key=key))["status"] in ("queued", "processing"):
            await asyncio.sleep(0.1)


async def test_no_credential_stays_in_the_open(
    database: Database, database_url: str, redis_url: str, tmp_path: Path, unused_port: int
) -> None:
    """0 of them, in no encoding, though all were logged about at DEBUG, refused, replayed and met by exceptions."""
    clock, canaries = SystemClock(), Canaries()
    tenant_id = await create_tenant(database, clock, "canary")
    key = await create_key(database, clock, tenant_id, name="canary", mode="live", scopes=tuple(Scope))
    api = ServedApi(tmp_path, unused_port, database_url, redis_url, CODEXOS_LOG_LEVEL="DEBUG")
    worker = ServedApi(tmp_path, 1, database_url, redis_url, ("server", "worker"), CODEXOS_LOG_LEVEL="DEBUG")
    ask = Visitor(api, canaries)
    try:
        worker.begin()
        async with served(api):
            await live(ask, canaries, database, key)
            posted = await ask(
                202,
                "POST",
                "/api/v1/rag/ingest",
                key=key,
                json={"source_type": "text", "source": "The dome opens at dusk."},
            )
            await until_worked(ask, key, posted["job_id"])
            await err(ask, canaries)
            await break_down(ask, canaries, database)
            async with api.client() as client:
                numbers = (await client.get("/metrics")).content
    finally:
        worker.kill()
    assert len(canaries.secrets) >= 15
    assert api.log.read_text("utf-8").count('"status": 50') == len(canaries.secrets)
    assert "worker.ready" in worker.log.read_text("utf-8")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {api.log, worker.log} <= set(files)
    searched = {path.name: path.read_bytes() for path in files}
    searched |= {"metrics": numbers, "refusals": b"\n".join(canaries.refusals)}
    searched |= {"database": await stored(database), "redis": await counted(redis_url)}
    assert {place: found for place, content in searched.items() if (found := canaries.found_in(content))} == {}


@pytest.mark.parametrize("name", encodings("x"))
def test_the_search_finds_what_is_there(name: str) -> None:
    """A control: planted among other bytes, in each encoding, a credential is found."""
    canaries = Canaries(secrets={"password": f'canary "{new_id()}" ü'})
    leak = encodings(canaries.secrets["password"])[name]
    assert f"password, {name}" in canaries.found_in(b"\0 before " + leak + b" after \xff")
    assert canaries.found_in(leak[:-1]) == []


async def test_an_error_that_repeats_its_credentials_leaves_none_in_its_trace(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Exceptions are logged with all they say, and that without credentials. The control leaves them in: found."""
    canaries = Canaries(secrets={"password": f'canary "{new_id()}" ü', "recovery code": "ABCDE-FGHIJ"})
    account = {"email": "canary@example.com", "password": canaries.secrets["password"]}
    careful, careless = [
        ServedApi(tmp_path, port, database_url, redis_url, ("tests.fakes.careless_api", *more))
        for port, more in zip(free_ports(2), ((), ("unredacted",)), strict=True)
    ]
    async with served(careful, careless):
        for api in (careful, careless):
            code = {"mfa_code": canaries.secrets["recovery code"]}
            await Visitor(api, canaries)(500, "POST", "/api/v1/auth/token", json=account | code)
    assert "could not carry out" in careful.log.read_text("utf-8")
    assert canaries.found_in(careful.log.read_bytes() + b"\n".join(canaries.refusals)) == []
    found = {each.partition(",")[0] for each in canaries.found_in(careless.log.read_bytes())}
    assert found == set(canaries.secrets)
