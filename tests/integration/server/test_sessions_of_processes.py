"""Sessions over two API processes: a refresh token works once, and what has ended ends in both within five seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from stores.sql.engine import Database
from stores.sql.models import RefreshTokenRow, SessionRow
from tests.acceptance.system import free_ports
from tests.integration.server.served import ServedApi, served
from tests.integration.server.test_sessions import PASSWORD, bearer, log_in, registered

EFFECTIVE_SECONDS = 5
# From the answer that ended it to the answer that shows it, on a machine that does other things, too.
_ROUND_TRIP_SECONDS = 2
REFRESHES = 50
EACH_PART = [("sqlite", "embedded"), ("postgresql", "real")]  # not each with each

Two = tuple[httpx.AsyncClient, httpx.AsyncClient]


@pytest.fixture
async def two(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Two]:
    """Yield a client of each of two processes over the same stores."""
    apis = [ServedApi(tmp_path, port, database_url, redis_url) for port in free_ports(2)]
    async with served(*apis), apis[0].client() as here, apis[1].client() as there:
        yield here, there


async def refresh(client: httpx.AsyncClient, pair: dict[str, Any]) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": pair["refresh_token"]})


async def status(client: httpx.AsyncClient, credential: dict[str, str]) -> int:
    return (await client.get("/api/v1/auth/me", headers=credential)).status_code


async def ends_in_time(there: httpx.AsyncClient, credential: dict[str, str], end: Callable[[], Awaitable[Any]]) -> None:
    """Let the other process believe the credential, end it here, and ask there until it is refused."""
    assert await status(there, credential) == 200
    await end()
    ended = time.monotonic()
    async with asyncio.timeout(60):
        while await status(there, credential) != 401:
            await asyncio.sleep(0.05)
    assert time.monotonic() - ended < EFFECTIVE_SECONDS + _ROUND_TRIP_SECONDS


@pytest.mark.parametrize(("database_url", "redis_url"), EACH_PART, indirect=True)
async def test_a_refresh_token_works_once_over_both(two: Two, database_url: str) -> None:
    """Fifty at once make one pair, which works, and the session lives; ten seconds later the same token ends it."""
    here, there = two
    email = await registered(here)
    first = (await log_in(here, email)).json()
    answers = await asyncio.gather(*(refresh(two[number % 2], first) for number in range(REFRESHES)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * (REFRESHES - 1)
    [pair] = [answer.json() for answer in answers if answer.status_code == 200]
    assert [await status(client, bearer(pair)) for client in two] == [200, 200]
    pair = (await refresh(there, pair)).json()
    assert await status(here, bearer(pair)) == 200

    database = Database(database_url)
    async with database.transaction() as session:
        used = select(RefreshTokenRow.used_at).where(RefreshTokenRow.used_at.is_not(None))
        earliest = min((await session.scalars(used)).all())
        await session.execute(
            update(RefreshTokenRow)
            .where(RefreshTokenRow.used_at == earliest)
            .values(used_at=earliest - timedelta(seconds=10))
        )
    await ends_in_time(there, bearer(pair), lambda: refresh(here, first))
    assert (await refresh(there, pair)).status_code == 401
    async with database.reading() as session:
        assert await session.scalar(select(SessionRow.revoked_because)) == "a refresh token was used twice"
    await database.dispose()


@pytest.mark.parametrize(("database_url", "redis_url"), [EACH_PART[0]], indirect=True)
async def test_what_ends_in_one_process_ends_in_the_other(two: Two) -> None:
    """A log-out, a session ended from another device, a new password, a revoked key: each within five seconds."""
    here, there = two
    email = await registered(here)
    first, second, third, mine = [(await log_in(here, email)).json() for _ in range(4)]
    listed = (await here.get("/api/v1/auth/sessions", headers=bearer(second))).json()["items"]
    [second_id] = [session["id"] for session in listed if session["current"]]
    asked = {"name": "ci", "scopes": ["rag:read"]}
    made = (await here.post("/api/v1/auth/api-keys", headers=bearer(mine), json=asked)).json()
    changed = {"current_password": PASSWORD, "new_password": "another long sentence"}
    await asyncio.gather(
        ends_in_time(there, bearer(first), lambda: here.post("/api/v1/auth/logout", headers=bearer(first))),
        ends_in_time(
            there, bearer(second), lambda: here.delete(f"/api/v1/auth/sessions/{second_id}", headers=bearer(mine))
        ),
        ends_in_time(
            there,
            {"authorization": f"Bearer {made['key']}"},
            lambda: here.delete(f"/api/v1/auth/api-keys/{made['api_key']['id']}", headers=bearer(mine)),
        ),
    )
    await ends_in_time(
        there, bearer(third), lambda: here.post("/api/v1/auth/password", headers=bearer(mine), json=changed)
    )
    assert [await status(client, bearer(mine)) for client in two] == [200, 200]
