"""Signing keys and what they sign, over the tables: first use, rotation with an overlap, and how soon a token ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.clock import FrozenClock
from core.ids import SessionId, TenantId, UserId, new_id
from server.auth.sessions.signing.service import OUTLIVES, SIGNS_AFTER
from stores.sql.engine import Database
from stores.sql.models import SessionRow, UserRow
from tests.factories.tokens import access_tokens, signing_keys


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


async def a_session(database: Database, clock: FrozenClock) -> tuple[UserId, SessionId, TenantId]:
    user_id, session_id, now = UserId(new_id()), SessionId(new_id()), clock.now()
    async with database.transaction() as session:
        session.add(UserRow(id=user_id, email=user_id, name="Ada", password_hash="", created_at=now, updated_at=now))
        await session.flush()
        session.add(SessionRow(id=session_id, user_id=user_id, created_at=now, expires_at=now + timedelta(days=30)))
    return user_id, session_id, TenantId(new_id())


async def test_processes_that_start_at_once_make_one_key(database: Database, clock: FrozenClock) -> None:
    """Whoever is first: all sign with the same."""
    processes = [signing_keys(database, clock) for _ in range(8)]
    kids = {kid for kid, _ in await asyncio.gather(*(keys.signer() for keys in processes))}
    assert len(kids) == len(await processes[0].verifying()) == 1


async def test_a_new_key_signs_when_all_can_know_it(database: Database, clock: FrozenClock) -> None:
    """It is published at once and signs later; the old one verifies until its last token has ended, and no longer."""
    here, there = signing_keys(database, clock), signing_keys(database, clock)
    old, _ = await here.signer()
    await there.signer()
    new = await here.rotate()
    clock.advance(timedelta(seconds=5))
    assert (await there.signer())[0] == old
    assert {key.kid for key in await there.verifying()} == {old, new}
    clock.advance(SIGNS_AFTER)
    assert (await there.signer())[0] == new
    assert await there.verifier(old) is not None
    clock.advance(OUTLIVES)
    assert await there.verifier(old) is None
    assert [key.kid for key in await there.verifying()] == [new]


async def test_a_session_ends_in_other_processes_within_five_seconds(database: Database, clock: FrozenClock) -> None:
    """A process that has just believed a token of it asks again in time."""
    user_id, session_id, tenant_id = await a_session(database, clock)
    here, there = access_tokens(database, clock), access_tokens(database, clock)
    token = await here.issue(user_id, session_id, tenant_id)
    assert await there.find(token) is not None
    async with database.transaction() as session:
        await session.execute(update(SessionRow).values(revoked_at=clock.now()))
    clock.advance(timedelta(seconds=5))
    assert await there.find(token) is None


async def test_a_token_ends_after_fifteen_minutes(database: Database, clock: FrozenClock) -> None:
    """Five seconds are added for clocks that differ, not more."""
    token = await access_tokens(database, clock).issue(*await a_session(database, clock))
    reader = access_tokens(database, clock)
    clock.advance(timedelta(minutes=15, seconds=4))
    assert await reader.find(token) is not None
    clock.advance(timedelta(seconds=1))
    assert await reader.find(token) is None
