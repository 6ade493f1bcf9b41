"""How long a session lives and what a log-in costs, over the tables and by a clock that is moved by hand."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.clock import FrozenClock
from core.errors import AuthenticationFailed
from server.auth.sessions.passwords import Passwords
from stores.sql.engine import Database
from tests.factories.sessions import CountingHasher, ada, sessions, with_password
from tests.factories.tokens import access_tokens


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


async def test_a_session_ends_ninety_days_after_its_log_in(database: Database) -> None:
    """However often it was refreshed: the last refresh token, and the last access token, end with it."""
    clock = FrozenClock()
    people = sessions(database, clock)
    await ada(people)
    pair = await people.log_in(with_password(), address="a", code=None)
    for days in (29, 29, 29):
        clock.advance(timedelta(days=days))
        pair = await people.refresh(pair.refresh_token)
    clock.advance(timedelta(days=3) - timedelta(minutes=1))
    pair = await people.refresh(pair.refresh_token)
    tokens = access_tokens(database, clock)
    assert await tokens.find(pair.access_token) is not None
    clock.advance(timedelta(minutes=1))
    assert await access_tokens(database, clock).find(pair.access_token) is None
    with pytest.raises(AuthenticationFailed):
        await people.refresh(pair.refresh_token)


async def test_a_session_that_is_not_refreshed_ends_after_thirty_days(database: Database) -> None:
    """To the second."""
    clock = FrozenClock()
    people = sessions(database, clock)
    await ada(people)
    pairs = [await people.log_in(with_password(), address="a", code=None) for _ in range(2)]
    clock.advance(timedelta(days=30) - timedelta(seconds=1))
    await people.refresh(pairs[0].refresh_token)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(AuthenticationFailed):
        await people.refresh(pairs[1].refresh_token)


async def test_an_unknown_address_costs_what_a_wrong_password_costs(database: Database) -> None:
    """The same work and the same words, from the first try of a process on: its time tells nobody who exists."""
    await ada(sessions(database, FrozenClock()))
    told = []
    for asked in (with_password(email="nobody@example.com"), with_password("wrong")):
        hasher = CountingHasher()
        people = sessions(database, FrozenClock(), passwords=Passwords(hasher))
        for _ in range(2):
            with pytest.raises(AuthenticationFailed) as refused:
                await people.log_in(asked, address="a", code=None)
        told.append((hasher.work, refused.value.message, dict(refused.value.details)))
    assert told[0] == told[1]
    assert told[0][0].count("verify") == 2


async def test_a_log_in_renews_a_hash_of_other_parameters(database: Database) -> None:
    """Once: the next finds it made as today."""
    await ada(sessions(database, FrozenClock()))
    hasher = CountingHasher(version=2)
    people = sessions(database, FrozenClock(), passwords=Passwords(hasher))
    for _ in range(2):
        await people.log_in(with_password(), address="a", code=None)
        made = hasher.work.count("hash")
    assert (hasher.work.count("verify"), made) == (2, 2)  # one for nobody's password, one for hers
