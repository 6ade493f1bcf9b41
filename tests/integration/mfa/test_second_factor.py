"""The second factor on both databases: a code works once, however many try at the same time."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.errors import ApiError, Conflict, MfaInvalid, MfaRequired, RateLimitExceeded
from core.ids import UserId
from server.auth.mfa.service import SecondFactor
from stores.sql.engine import Database
from stores.sql.models import RecoveryCodeRow, TotpDeviceRow, UserRow
from tests.factories.sessions import account_log
from vault import totp
from vault.envelope import Envelope

USER = UserId("u")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def database(database_url: str, clock: FrozenClock) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.transaction() as session:
        now = clock.now()
        session.add(UserRow(id=USER, email="u", name="u", password_hash="", created_at=now, updated_at=now))
    yield database
    await database.dispose()


@pytest.fixture
def factor(database: Database, clock: FrozenClock) -> SecondFactor:
    return factor_of(database, clock)


def factor_of(database: Database, clock: FrozenClock) -> SecondFactor:
    return SecondFactor(
        database=database,
        envelope=Envelope(bytes(32)),
        clock=clock,
        account_log=account_log(database, clock),
        issuer="Test",
    )


async def enabled(factor: SecondFactor, clock: FrozenClock) -> tuple[bytes, list[str]]:
    """Enrol and confirm; return the secret and the recovery codes, at a step whose code is unused."""
    enrolment = await factor.enrol(USER)
    secret = base64.b32decode(enrolment.secret)
    codes = (await factor.confirm(USER, code(secret, clock))).recovery_codes
    clock.advance(timedelta(seconds=totp.STEP_SECONDS))
    return secret, codes


def code(secret: bytes, clock: FrozenClock) -> str:
    return totp.code_at(secret, totp.step_of(clock.now()))


def wrong(secret: bytes, clock: FrozenClock) -> str:
    near = {totp.code_at(secret, totp.step_of(clock.now()) + drift) for drift in (-1, 0, 1)}
    return next(candidate for candidate in ("000000", "000001", "000002", "000003") if candidate not in near)


async def test_enrolment_counts_from_its_first_code(factor: SecondFactor, clock: FrozenClock) -> None:
    """Until then no code is asked for; from then on one is."""
    enrolment = await factor.enrol(USER)
    assert enrolment.qr_code.startswith("data:image/svg+xml")
    await factor.check(USER, None)
    secret = base64.b32decode(enrolment.secret)
    with pytest.raises(MfaInvalid):
        await factor.confirm(USER, wrong(secret, clock))
    await factor.confirm(USER, code(secret, clock))
    with pytest.raises(MfaRequired):
        await factor.check(USER, None)
    with pytest.raises(Conflict):
        await factor.enrol(USER)
    with pytest.raises(Conflict):
        await factor.confirm(USER, code(secret, clock))


async def test_sixty_four_at_once_with_the_same_code(factor: SecondFactor, clock: FrozenClock) -> None:
    """Exactly one passes."""
    secret, _ = await enabled(factor, clock)
    same = code(secret, clock)
    outcomes = await asyncio.gather(*(factor.check(USER, same) for _ in range(64)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, ApiError)]
    assert (outcomes.count(None), len(refused)) == (1, 63)


async def test_a_used_code_stays_used_after_a_restart(
    factor: SecondFactor, database: Database, clock: FrozenClock
) -> None:
    """What was used is in SQL, not in a process."""
    secret, _ = await enabled(factor, clock)
    await factor.check(USER, code(secret, clock))
    restarted = factor_of(database, clock)
    with pytest.raises(MfaInvalid):
        await restarted.check(USER, code(secret, clock))


async def test_guessing_ends_after_twenty_failures_a_day(factor: SecondFactor, clock: FrozenClock) -> None:
    """Even the right code is refused then, a success in between forgives nothing, and the day ends."""
    secret, recovery = await enabled(factor, clock)
    for _ in range(19):
        with pytest.raises(MfaInvalid):
            await factor.check(USER, wrong(secret, clock))
    await factor.check(USER, code(secret, clock))
    clock.advance(timedelta(seconds=totp.STEP_SECONDS))
    with pytest.raises(MfaInvalid):
        await factor.check(USER, wrong(secret, clock))
    for locked_out in (code(secret, clock), recovery[0], wrong(secret, clock)):
        with pytest.raises(RateLimitExceeded) as refused:
            await factor.check(USER, locked_out)
        assert 86_000 < refused.value.retry_after_seconds <= 86_400
    clock.advance(timedelta(days=1))
    await factor.check(USER, code(secret, clock))


async def test_failures_are_counted_although_the_request_fails(
    factor: SecondFactor, database: Database, clock: FrozenClock
) -> None:
    """A refused log-in is rolled back; that somebody guessed is not."""
    secret, _ = await enabled(factor, clock)
    with pytest.raises(MfaInvalid):
        async with database.unit_of_work():
            await factor.check(USER, wrong(secret, clock))
    async with database.reading() as session:
        device = await session.get_one(TotpDeviceRow, USER)
    assert device.failures == 1


async def test_recovery_codes_work_once_each(factor: SecondFactor, clock: FrozenClock) -> None:
    """In place of a code, also when many try the same one, and not before the device counts."""
    _, recovery = await enabled(factor, clock)
    outcomes = await asyncio.gather(*(factor.check(USER, recovery[0]) for _ in range(8)), return_exceptions=True)
    assert outcomes.count(None) == 1
    await factor.check(USER, recovery[1])
    await factor.disable(USER, recovery[2])
    await factor.check(USER, None)
    with pytest.raises(Conflict):
        await factor.disable(USER, recovery[3])


async def test_neither_secret_nor_codes_are_in_the_tables(
    factor: SecondFactor, database: Database, clock: FrozenClock
) -> None:
    """The secret is sealed to its user, the codes are hashes."""
    secret, recovery = await enabled(factor, clock)
    async with database.reading() as session:
        device = await session.get_one(TotpDeviceRow, USER)
        hashes = list(await session.scalars(select(RecoveryCodeRow.code_hash)))
    assert secret not in device.sealed_secret
    assert sorted(hashes) == sorted(totp.hash_recovery_codes(recovery))
