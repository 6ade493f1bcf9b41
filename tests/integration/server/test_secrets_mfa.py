"""Secrets that require a second factor: nobody has one without a code, and a code opens one door, once."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from core.clock import SystemClock
from server import wiring
from server.auth.sessions.passwords import Passwords
from stores import embedded_redis
from stores.sql.models import OutboxRow, TotpDeviceRow
from tests.integration.server.guarded import CODE, SECRETS, Person, guarding, refusal, stored
from tests.integration.server.running import Api


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it has tests of its own."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(wiring, "Passwords", lambda: Passwords(cheap))
    async with guarding(tmp_path, database_url, redis_url, trusted_proxies=1) as api:
        yield api


@pytest.fixture
async def person(api: Api) -> AsyncIterator[Person]:
    """Yield somebody with a device, and the secret `k` that requires it."""
    async with api.client() as browser:
        person = await Person.registered(browser, api.database)
        await person.enrol()
        await stored(browser, "k", "hunter2", require_mfa=True)
        yield person


async def test_a_code_is_asked_for_judged_and_used_up(person: Person) -> None:
    """None: MFA_REQUIRED. A wrong one: MFA_INVALID. The right one: the value, and never again for the same code."""
    assert refusal(await person.read("k")) == (401, "MFA_REQUIRED")
    assert refusal(await person.read("k", person.wrong_code())) == (401, "MFA_INVALID")
    right = await person.code()
    assert (await person.read("k", right)).json()["value"] == "hunter2"
    assert refusal(await person.read("k", right)) == (401, "MFA_INVALID")
    assert (await person.read("k", person.recovery_codes[0])).status_code == 200
    assert refusal(await person.read("k", person.recovery_codes[0])) == (401, "MFA_INVALID")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_code_is_six_digits_and_nothing_else(person: Person) -> None:
    """However close to the right one, with spaces, signs or digits of other scripts: refused. Then the right one is."""
    right = await person.code()
    arabic, wide = ("".join(chr(zero + int(digit)) for digit in right) for zero in (0x0660, 0xFF10))
    spelled = [f"{right[:3]} {right[3:]}", f"+{right}", f"-{right}", f"{right}.0", f"0{right}", right[:5], "1e5", ""]
    for each in (*spelled, arabic, wide):
        assert refusal(await person.read("k", each)) == (401, "MFA_INVALID"), each
    assert (await person.read("k", right)).status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_two_codes_are_none(person: Person) -> None:
    """Two headers could be read as either: 400."""
    headers = [(CODE, person.wrong_code()), (CODE, await person.code())]
    assert refusal(await person.browser.get(f"{SECRETS}/k", headers=headers)) == (400, "VALIDATION_ERROR")


async def test_a_key_has_no_second_factor(api: Api, person: Person) -> None:
    """Refused with a sentence, whatever it sends; somebody who has enrolled none is told how to."""
    me = (await person.browser.get("/api/v1/auth/me")).json()
    made = await person.browser.post(
        "/api/v1/auth/api-keys", json={"name": "k", "scopes": ["vault:read", "vault:write", "vault:list"]}
    )
    async with api.client(made.json()["key"]) as client:
        for headers in ({}, {CODE: await person.code()}):
            refused = await client.get(f"{SECRETS}/k", headers=headers)
            assert refusal(refused) == (401, "MFA_REQUIRED")
            assert "key does not have" in refused.json()["error"]["message"]
        assert (await client.post(f"{SECRETS}/k/rotate", json={"value": "hunter3"})).status_code == 200
        unlocked = await client.post(SECRETS, json={"key": "k", "value": "v", "require_mfa": False})
        assert refusal(unlocked) == (401, "MFA_REQUIRED")
    assert me["subject"].startswith("user:")
    async with api.client() as browser:
        other = await Person.registered(browser, api.database)
        await stored(browser, "mine", require_mfa=True)
        refused = await other.read("mine", "123456")
        assert refusal(refused) == (401, "MFA_REQUIRED")
        assert "enrols one" in refused.json()["error"]["message"]


async def test_what_guards_a_secret_is_lifted_with_a_code_only(person: Person) -> None:
    """Requiring no factor, going to other hosts: with a code. A new value, and more of the same: without."""
    browser = person.browser
    again = await stored(browser, "k", "hunter3", tags=["t"])
    assert (again["require_mfa"], again["version"]) == (True, 2)
    for terms in ({"allowed_hosts": ["evil.example.com"]}, {"require_mfa": False}):
        body = {"key": "k", "value": "x", **terms}
        keyed = {"idempotency-key": str(terms)[1:9]}
        assert refusal(await browser.post(SECRETS, json=body, headers=keyed)) == (401, "MFA_REQUIRED")
        with_code = keyed | {CODE: await person.code()}  # a refusal that a code mends is not kept for retries
        assert (await browser.post(SECRETS, json=body, headers=with_code)).status_code == 201
    assert (await person.read("k")).json()["value"] == "x"


async def test_guessing_is_bounded_for_a_day(api: Api, person: Person) -> None:
    """Twenty failures, then 429 with Retry-After, for the right code, too; every refusal was told."""
    for _ in range(20):
        assert refusal(await person.read("k", person.wrong_code())) == (401, "MFA_INVALID")
    locked = await person.read("k", await person.code())
    assert refusal(locked) == (429, "RATE_LIMIT_EXCEEDED")
    assert 86_000 < int(locked.headers["retry-after"]) <= 86_400
    async with api.database.transaction() as session:
        yesterday = SystemClock().now() - timedelta(days=1, seconds=1)
        await session.execute(update(TotpDeviceRow).values(failures_since=yesterday))
    assert (await person.read("k", await person.code())).status_code == 200
    async with api.database.reading() as session:
        told = await session.execute(
            select(OutboxRow.payload).where(OutboxRow.type == "vault.secret.denied").order_by(OutboxRow.sequence)
        )
        reasons = [payload["reason"] for (payload,) in told]
    assert reasons == ["mfa_invalid"] * 20 + ["mfa_locked"]
