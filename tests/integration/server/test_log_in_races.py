"""A log-in beside a change of the password: a session that rests on the old one never outlives it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.clock import FrozenClock
from core.errors import AuthenticationFailed
from core.ids import UserId
from server.auth.principal import Principal
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.schemas import PasswordChange
from server.auth.sessions.service import Sessions
from stores.sql.engine import Database
from tests.factories.sessions import PASSWORD, CountingHasher, NoSecondFactor, ada, sessions, with_password

CHANGE = PasswordChange(current_password=PASSWORD, new_password="another long sentence")


class HoldingFactor:
    """Stands between a password that was found right and the session that rests on it, until it is let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = asyncio.Event(), asyncio.Event()

    async def check(self, user_id: UserId, code: str | None) -> None:
        self.reached.set()
        await self.let_go.wait()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def held() -> HoldingFactor:
    return HoldingFactor()


@pytest.fixture
def people(database: Database, held: HoldingFactor) -> Sessions:
    return sessions(database, FrozenClock(), second_factor=held)


async def change_password(people: Sessions, person: Principal) -> None:
    """Change it, without being held."""
    await replace(people, second_factor=NoSecondFactor()).change_password(person, CHANGE, code=None)


async def living(people: Sessions, person: Principal) -> int:
    return len((await people.living(person)).items)


async def test_a_log_in_with_the_password_of_a_moment_ago_is_refused(people: Sessions, held: HoldingFactor) -> None:
    """The password was right when it was checked, and changed before the session was written: there is none."""
    person = await ada(people)
    log_in = asyncio.create_task(people.log_in(with_password(), address="a", code=None))
    await held.reached.wait()
    await change_password(people, person)
    held.let_go.set()
    with pytest.raises(AuthenticationFailed):
        await log_in
    assert await living(people, person) == 0


async def test_a_log_in_waits_for_a_change_that_is_on_its_way(
    database: Database, people: Sessions, held: HoldingFactor
) -> None:
    """A new password that is written and not committed is waited for, and then counts."""
    person = await ada(people)
    log_in = asyncio.create_task(people.log_in(with_password(), address="a", code=None))
    await held.reached.wait()
    async with database.unit_of_work() as work:
        await change_password(people, person)
        held.let_go.set()
        done, _ = await asyncio.wait({log_in}, timeout=0.3)  # long enough for one that does not wait
        assert not done
        await work.commit()
    with pytest.raises(AuthenticationFailed):
        await log_in
    assert await living(people, person) == 0


async def test_a_change_ends_the_session_of_a_log_in_that_was_first(people: Sessions, held: HoldingFactor) -> None:
    """Whichever of the two is first: no session with the old password is left."""
    person = await ada(people)
    held.let_go.set()
    both = (people.log_in(with_password(), address="a", code=None), change_password(people, person))
    await asyncio.gather(*both, return_exceptions=True)
    assert await living(people, person) == 0


async def test_two_log_ins_that_renew_the_same_hash_both_succeed(people: Sessions, held: HoldingFactor) -> None:
    """A hash that another log-in has just renewed is of the same password: it is compared anew, not refused."""
    person = await ada(people)
    renewing = sessions(
        people.database, people.clock, second_factor=held, passwords=Passwords(CountingHasher(version=2))
    )
    both = [asyncio.create_task(renewing.log_in(with_password(), address="a", code=None)) for _ in range(2)]
    await held.reached.wait()
    held.let_go.set()
    await asyncio.gather(*both)
    assert await living(people, person) == 2
