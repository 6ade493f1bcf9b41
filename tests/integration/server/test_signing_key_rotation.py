"""`python -m server admin rotate-signing-key` while people work: nobody is logged out, and the old key ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from sqlalchemy import update

from server.auth.sessions.signing import service
from server.cli import admin
from server.cli.refusal import Refusal
from stores.sql.models import SigningKeyRow
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.test_sessions import a_pair, browser, redis_url

__all__ = ["browser", "redis_url"]  # fixtures

# The order of times is all that SQL does here; `test_signing_keys` holds both databases to it.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def api(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    # That other processes know it in five seconds is tried where there are others.
    monkeypatch.setattr(service, "_REMEMBERED_FOR", timedelta(0))
    async with running(settings_for(tmp_path, database_url, redis_url=redis_url, trusted_proxies=1)) as api:
        yield api


async def rotate(api: Api, capsys: pytest.CaptureFixture[str]) -> str:
    await asyncio.to_thread(admin.main, api.settings, ["rotate-signing-key"])
    return capsys.readouterr().out.split()[0]


async def published(browser: httpx.AsyncClient) -> set[str]:
    return {key["kid"] for key in (await browser.get("/.well-known/jwks.json")).json()["keys"]}


def kid_of(pair: dict[str, str]) -> str:
    return str(jwt.get_unverified_header(pair["access_token"])["kid"])


async def moved(api: Api, kid: str, **times: datetime) -> None:
    async with api.database.transaction() as session:
        await session.execute(update(SigningKeyRow).where(SigningKeyRow.kid == kid).values(**times))


async def asks(browser: httpx.AsyncClient, pair: dict[str, str]) -> int:
    answer = await browser.get("/api/v1/auth/me", headers={"authorization": f"Bearer {pair['access_token']}"})
    return answer.status_code


async def refreshed(browser: httpx.AsyncClient, pair: dict[str, str]) -> dict[str, str]:
    answer = await browser.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    found: dict[str, str] = answer.json()
    return found


async def test_a_new_key_takes_over(api: Api, browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Published, then signing beside the old one, then alone: only what a rotated-out key signed is refused."""
    first = await a_pair(browser)
    old, new = kid_of(first), await rotate(api, capsys)
    assert await published(browser) == {old, new}
    second = await refreshed(browser, first)
    assert kid_of(second) == old  # another process may not know the new one yet
    now = datetime.now(UTC)
    await moved(api, new, signs_from=now)
    third = await refreshed(browser, second)
    assert kid_of(third) == new
    assert [await asks(browser, pair) for pair in (first, second, third)] == [200] * 3
    await moved(api, old, retired_at=now)
    assert await published(browser) == {new}
    assert [await asks(browser, pair) for pair in (first, second, third)] == [401, 401, 200]
    assert kid_of(await refreshed(browser, third)) == new


async def test_another_root_key_rotates_nothing(
    api: Api, browser: httpx.AsyncClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key sealed with it could be opened by no server: the operator is told, and all stays as it was."""
    before = kid_of(await a_pair(browser))
    elsewhere = settings_for(tmp_path / "elsewhere", str(api.settings.database_url))
    elsewhere.home.mkdir()
    with pytest.raises(Refusal):
        await asyncio.to_thread(admin.main, elsewhere, ["rotate-signing-key"])
    assert await published(browser) == {before}


async def test_an_installation_that_nobody_has_used_can_rotate(
    api: Api, browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first key signs until the new one does: nobody waits a minute to log in."""
    new = await rotate(api, capsys)
    assert kid_of(await a_pair(browser)) in await published(browser) - {new}
