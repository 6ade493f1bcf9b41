"""Servers with a safe, and a person with an authenticator in hand: what tests of secrets begin with."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from server import wiring
from stores.sql.engine import Database
from stores.sql.models import TotpDeviceRow
from tests.integration.server.running import Api, running, settings_for
from vault import totp

SECRETS = "/api/v1/vault/secrets"
TOTP = "/api/v1/auth/mfa/totp"
_PASSWORD = "a long sentence of my own"
CODE = "x-vault-mfa-code"


@asynccontextmanager
async def guarding(home: Path, database_url: str, redis_url: str, **given: Any) -> AsyncIterator[Api]:
    """Serve with a counter: without one nothing of the safe is answered. That the machine is busy makes it none."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wiring, "_LIMITS_TIMEOUT_SECONDS", 30.0)
        async with running(settings_for(home, database_url, redis_url=redis_url, **given)) as api:
            yield api


async def stored(client: httpx.AsyncClient, key: str, value: str = "hunter2", **given: Any) -> dict[str, Any]:
    answer = await client.post(SECRETS, json={"key": key, "value": value, **given})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def value_of(client: httpx.AsyncClient, key: str, **asked: Any) -> str:
    answer = await client.get(f"{SECRETS}/{key}", params=asked)
    assert answer.status_code == 200, answer.text
    value: str = answer.json()["value"]
    return value


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


class Person:
    """Somebody who owns a tenant, in a session, with a device once they have enrolled one."""

    def __init__(self, browser: httpx.AsyncClient, database: Database, email: str) -> None:
        self.browser, self._database, self._email = browser, database, email
        self.secret = b""
        self.recovery_codes: list[str] = []

    @classmethod
    async def registered(cls, browser: httpx.AsyncClient, database: Database) -> "Person":
        """Register over `browser`, and log in: it carries the session from then on."""
        browser.headers["x-forwarded-for"] = f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"
        account = {"email": f"{uuid4().hex}@example.com", "password": _PASSWORD}
        (await browser.post("/api/v1/auth/register", json=account | {"name": "Ada"})).raise_for_status()
        pair = (await browser.post("/api/v1/auth/token", json=account)).raise_for_status().json()
        browser.headers["authorization"] = f"Bearer {pair['access_token']}"
        return cls(browser, database, account["email"])

    async def log_in(self) -> None:
        """Begin another session, which is what a test needs that lasts longer than a token."""
        account = {"email": self._email, "password": _PASSWORD, "mfa_code": await self.code()}
        pair = (await self.browser.post("/api/v1/auth/token", json=account)).raise_for_status().json()
        self.browser.headers["authorization"] = f"Bearer {pair['access_token']}"

    async def enrol(self) -> None:
        enrolment = (await self.browser.post(TOTP)).raise_for_status().json()
        self.secret = base64.b32decode(enrolment["secret"])
        confirmed = await self.browser.post(f"{TOTP}/confirm", json={"code": await self.code()})
        self.recovery_codes = confirmed.raise_for_status().json()["recovery_codes"]

    async def code(self) -> str:
        """Return the code of now. The server forgets that it has taken one of this step: no test waits for the next."""
        async with self._database.transaction() as session:
            await session.execute(update(TotpDeviceRow).values(last_step=0))
        return self.code_of_now()

    def code_of_now(self) -> str:
        return totp.code_at(self.secret, totp.step_of(datetime.now(UTC)))

    def wrong_code(self) -> str:
        near = {totp.code_at(self.secret, totp.step_of(datetime.now(UTC)) + drift) for drift in range(-2, 3)}
        return next(code for code in ("000000", "000001", "000002", "000003", "000004", "000005") if code not in near)

    async def read(self, key: str, code: str | None = None, **asked: Any) -> httpx.Response:
        return await self.browser.get(
            f"{SECRETS}/{key}", params=asked, headers={CODE: code.encode()} if code is not None else {}
        )
