"""Sessions over HTTP: what a person can do with a password, and how soon what is ended has ended."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher

from server import wiring
from server.auth.sessions.passwords import Passwords
from stores import embedded_redis
from tests.integration.server.running import Api, running, settings_for

PASSWORD = "a long sentence of my own"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: it counts tries as the real one does, says `stores/test_gcra`."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    # A hash of the real parameters takes a fifth of a second; those are tried where the processes are.
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(wiring, "Passwords", lambda: Passwords(cheap))
    # Each test's log-ins come from an address of their own: the throttle's counters outlive a test.
    async with running(settings_for(tmp_path, database_url, redis_url=redis_url, trusted_proxies=1)) as api:
        yield api


@pytest.fixture
async def browser(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        client.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
        yield client


async def registered(browser: httpx.AsyncClient, email: str | None = None) -> str:
    email = email or f"{uuid4().hex}@example.com"
    asked = {"email": email, "password": PASSWORD, "name": "Ada", "tenant_name": "Engines"}
    answer = await browser.post("/api/v1/auth/register", json=asked)
    assert answer.status_code == 201, answer.text
    return email


async def log_in(browser: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/api/v1/auth/token", json={"email": email, "password": password})


async def a_pair(browser: httpx.AsyncClient) -> dict[str, Any]:
    answer = await log_in(browser, await registered(browser))
    assert answer.status_code == 200, answer.text
    pair: dict[str, Any] = answer.json()
    return pair


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {pair['access_token']}"}


async def test_who_registers_owns_a_tenant(browser: httpx.AsyncClient) -> None:
    """The token that a log-in answers with speaks for them, in their tenant, as its owner."""
    pair = await a_pair(browser)
    me = (await browser.get("/api/v1/auth/me", headers=bearer(pair))).json()
    assert (pair["token_type"], pair["expires_in"]) == ("Bearer", 900)
    assert me["role"] == "owner"
    assert me["subject"].startswith("user:")
    assert me["memberships"] == [{"tenant_id": me["tenant_id"], "role": "owner"}]
    assert "rag:write" in me["scopes"]


async def test_a_key_may_ask_who_it_is(api: Api) -> None:
    """A key has no role and no memberships."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        me = (await client.get("/api/v1/auth/me")).json()
    assert (me["tenant_id"], me["role"], me["memberships"]) == (tenant_id, None, [])


async def test_two_spellings_of_an_address_are_one_person(browser: httpx.AsyncClient) -> None:
    """Registering the second is a conflict; logging in with it works."""
    name = uuid4().hex
    await registered(browser, f"{name}@example.com")
    again = {"email": f"{name.upper()}@Example.COM", "password": PASSWORD, "name": "Ada"}
    assert (await browser.post("/api/v1/auth/register", json=again)).status_code == 409
    assert (await log_in(browser, again["email"])).status_code == 200


async def test_an_unknown_address_and_a_wrong_password_are_answered_alike(browser: httpx.AsyncClient) -> None:
    """Status and body tell nobody who has an account."""
    email = await registered(browser)
    wrong, unknown = await log_in(browser, email, "not it at all"), await log_in(browser, "no@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    told = [answer.json()["error"] | {"request_id": ""} for answer in (wrong, unknown)]
    assert told[0] == told[1]


async def test_guessing_one_account_is_bounded(browser: httpx.AsyncClient) -> None:
    """Ten failures, then 429 with Retry-After, whatever address they come from, and even for the right password."""
    email = await registered(browser)
    statuses = []
    for number in range(11):
        browser.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{number}::1"
        statuses.append((answer := await log_in(browser, email, "wrong" if number < 10 else PASSWORD)).status_code)
    assert statuses == [401] * 10 + [429]
    assert int(answer.headers["retry-after"]) > 0


async def test_guessing_from_one_address_is_bounded(browser: httpx.AsyncClient) -> None:
    """Thirty failures, whichever accounts they try, be there such accounts or not."""
    statuses = [(await log_in(browser, f"{number}@example.com", "wrong")).status_code for number in range(31)]
    assert statuses == [401] * 30 + [429]


async def test_success_is_no_guess(browser: httpx.AsyncClient) -> None:
    """More log-ins than failures are allowed: all succeed, and all ten failures are still there to be made."""
    email = await registered(browser)
    tries = [PASSWORD] * 12 + ["wrong"] * 10 + [PASSWORD]
    statuses = [(await log_in(browser, email, password)).status_code for password in tries]
    assert statuses == [200] * 12 + [401] * 10 + [429]


async def test_log_in_fails_closed_without_redis(database_url: str, tmp_path: Path) -> None:
    """Where tries cannot be counted, none is allowed."""
    async with running(settings_for(tmp_path, database_url)) as api, api.client() as browser:
        assert (await log_in(browser, await registered(browser))).status_code == 503


async def test_logging_out_ends_session_and_token(browser: httpx.AsyncClient) -> None:
    """At once in this process; the refresh token has ended with them."""
    pair = await a_pair(browser)
    assert (await browser.post("/api/v1/auth/logout", headers=bearer(pair))).status_code == 200
    assert (await browser.get("/api/v1/auth/me", headers=bearer(pair))).status_code == 401
    asked = {"refresh_token": pair["refresh_token"]}
    assert (await browser.post("/api/v1/auth/refresh", json=asked)).status_code == 401


async def test_a_new_password_ends_the_other_sessions(browser: httpx.AsyncClient) -> None:
    """The one that asked lives on; a wrong current password changes nothing."""
    email = await registered(browser)
    mine, other = (await log_in(browser, email)).json(), (await log_in(browser, email)).json()
    asked = {"current_password": "wrong", "new_password": "another long sentence"}
    refused = await browser.post("/api/v1/auth/password", json=asked, headers=bearer(mine))
    assert refused.status_code == 403
    asked["current_password"] = PASSWORD
    assert (await browser.post("/api/v1/auth/password", json=asked, headers=bearer(mine))).status_code == 200
    living = (await browser.get("/api/v1/auth/sessions", headers=bearer(mine))).json()["items"]
    assert [session["current"] for session in living] == [True]
    assert (await browser.get("/api/v1/auth/me", headers=bearer(other))).status_code == 401
    assert (await log_in(browser, email)).status_code == 401


async def test_nobody_ends_the_session_of_another(browser: httpx.AsyncClient) -> None:
    """It is answered like one that does not exist."""
    mine, theirs = await a_pair(browser), await a_pair(browser)
    [session] = (await browser.get("/api/v1/auth/sessions", headers=bearer(theirs))).json()["items"]
    for unknown in (session["id"], str(uuid4())):
        answer = await browser.delete(f"/api/v1/auth/sessions/{unknown}", headers=bearer(mine))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert (await browser.get("/api/v1/auth/me", headers=bearer(theirs))).status_code == 200


async def test_fifty_refreshes_at_once_make_one_pair(browser: httpx.AsyncClient) -> None:
    """The others are told of the race; the family lives and the pair works."""
    asked = {"refresh_token": (await a_pair(browser))["refresh_token"]}
    answers = await asyncio.gather(*(browser.post("/api/v1/auth/refresh", json=asked) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    [pair] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await browser.get("/api/v1/auth/me", headers=bearer(pair))).status_code == 200
    asked = {"refresh_token": pair["refresh_token"]}
    assert (await browser.post("/api/v1/auth/refresh", json=asked)).status_code == 200
