"""The second factor over HTTP, from enrolling it to giving it up: without a code, a password is not enough."""

import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from sqlalchemy import func, select, update

from stores.sql.models import SessionRow, TotpDeviceRow
from tests.integration.server.running import Api
from tests.integration.server.test_sessions import PASSWORD, api, bearer, browser, log_in, redis_url, registered
from vault import totp

__all__ = ["api", "browser", "redis_url"]  # fixtures

TOTP = "/api/v1/auth/mfa/totp"


class Authenticator:
    """A person who is logged in, and the device in their hand."""

    def __init__(self, api: Api, browser: httpx.AsyncClient, email: str, pair: dict[str, Any]) -> None:
        self.api, self.browser, self.email, self.pair = api, browser, email, pair
        self.secret = b""
        self.recovery_codes: list[str] = []

    async def code(self) -> str:
        """Return the code of now. The server forgets that it has taken one of this step: no test waits for the next."""
        async with self.api.database.transaction() as session:
            await session.execute(update(TotpDeviceRow).values(last_step=0))
        return totp.code_at(self.secret, totp.step_of(datetime.now(UTC)))

    async def asked(self, path: str, **body: str) -> httpx.Response:
        return await self.browser.post(f"{TOTP}{path}", headers=bearer(self.pair), json=body or None)

    async def log_in(self, *, header: str | None = None, **body: str) -> tuple[int, str]:
        """Return status and error code."""
        answer = await self.browser.post(
            "/api/v1/auth/token",
            json={"email": self.email, "password": PASSWORD, **body},
            headers={"x-vault-mfa-code": header} if header is not None else {},
        )
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    async def sessions(self) -> int:
        async with self.api.database.reading() as session:
            return int(await session.scalar(select(func.count()).select_from(SessionRow)) or 0)


@pytest.fixture
async def device(api: Api, browser: httpx.AsyncClient) -> Authenticator:
    """Return somebody whose device is enrolled and confirmed."""
    email = await registered(browser)
    device = Authenticator(api, browser, email, (await log_in(browser, email)).json())
    enrolment = (await device.asked("")).json()
    label = unquote(urlsplit(enrolment["otpauth_uri"]).path)
    assert label == f"/CodexOS:{email}"
    device.secret = base64.b32decode(enrolment["secret"])
    assert await device.log_in() == (200, "")  # what is not confirmed is not asked for
    device.recovery_codes = (await device.asked("/confirm", code=await device.code())).json()["recovery_codes"]
    return device


async def test_a_password_without_its_code_is_not_enough(device: Authenticator) -> None:
    """No code is 401 MFA_REQUIRED, a wrong one 401 MFA_INVALID, and neither makes a session; the right one does."""
    before, right = await device.sessions(), await device.code()
    wrong = f"{(int(right) + 500_000) % 1_000_000:06}"
    assert await device.log_in() == (401, "MFA_REQUIRED")
    assert await device.log_in(mfa_code=wrong) == (401, "MFA_INVALID")
    assert await device.log_in(mfa_code="a long sentence") == (401, "MFA_INVALID")
    assert await device.sessions() == before
    assert await device.log_in(mfa_code=right) == (200, "")
    assert await device.log_in(mfa_code=right) == (401, "MFA_INVALID")  # each code works once
    assert await device.log_in(header=await device.code()) == (200, "")
    assert await device.log_in(header="000000", mfa_code="000001") == (400, "VALIDATION_ERROR")


async def test_a_wrong_password_is_refused_before_the_code_is_looked_at(device: Authenticator) -> None:
    """Nobody learns from the answer whether there is a second factor, and no code is used up."""
    right = await device.code()
    refused = await device.log_in(password="wrong", mfa_code=right)
    assert refused == await device.log_in(password="wrong") == (401, "AUTHENTICATION_FAILED")
    assert await device.log_in(mfa_code=right) == (200, "")


async def test_a_recovery_code_takes_the_place_of_a_code_once(device: Authenticator) -> None:
    """And a device that is lost is given up with another of them: then the password is enough again."""
    first, second, *_ = device.recovery_codes
    assert await device.log_in(mfa_code=first) == (200, "")
    assert await device.log_in(mfa_code=first) == (401, "MFA_INVALID")
    assert (await device.asked("/disable", code=first)).status_code == 401
    assert (await device.asked("/disable", code=second)).json() == {"enabled": False}
    assert await device.log_in() == (200, "")
