"""What people do with their accounts is on record in each of their tenants, in the transaction that does it."""

import base64
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.clock import FrozenClock
from core.errors import AuthenticationFailed, AuthorizationFailed, MfaInvalid, MfaRequired
from core.ids import TenantId, new_id
from server.auth.mfa.service import SecondFactor
from server.auth.principal import Principal
from server.auth.sessions.schemas import PasswordChange
from stores.audit import verify
from stores.sql.engine import Database
from stores.sql.models import AuditEventRow, MembershipRow, Role, TenantRow
from tests.factories.sessions import PASSWORD, account_log, ada, sessions, with_password
from vault import totp
from vault.envelope import Envelope

CHANGE = PasswordChange(current_password=PASSWORD, new_password="another sentence of my own", mfa_code=None)
WRONG = PasswordChange(current_password="wrong", new_password="another sentence of my own", mfa_code=None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def factor(database: Database, clock: FrozenClock) -> SecondFactor:
    return SecondFactor(
        database=database,
        envelope=Envelope(bytes(32)),
        clock=clock,
        account_log=account_log(database, clock),
        issuer="Test",
    )


async def joined(database: Database, person: Principal, now: datetime) -> TenantId:
    """Return another tenant that the person belongs to."""
    tenant_id = TenantId(new_id())
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="Observatory", created_at=now))
        await session.flush()
        session.add(
            MembershipRow(
                tenant_id=tenant_id, user_id=person.user, role=Role.VIEWER, version=1, created_at=now, updated_at=now
            )
        )
    return tenant_id


async def entries(database: Database, tenant_id: TenantId) -> list[tuple[str, str, dict[str, Any]]]:
    """Return actor, action and details of each, oldest first; the chain holds."""
    async with database.reading() as session:
        assert (await verify(session, tenant_id)).holds
        rows = await session.scalars(
            select(AuditEventRow).where(AuditEventRow.tenant_id == tenant_id).order_by(AuditEventRow.sequence)
        )
        return [(row.actor, row.action, row.details) for row in rows]


async def test_every_tenant_of_a_person_sees_their_sessions(database: Database, clock: FrozenClock) -> None:
    """Begun, ended by whatever ends them; a refused try leaves nothing, and neither do tenants of others hear of it."""
    people = sessions(database, clock)
    person = await ada(people)
    elsewhere = await joined(database, person, clock.now())
    first = await people.log_in(with_password(), address="a", code=None)
    await people.log_in(with_password(), address="a", code=None)
    with pytest.raises(AuthenticationFailed):
        await people.log_in(with_password("wrong"), address="a", code=None)
    newest, oldest = (each.id for each in (await people.living(person)).items)
    await people.end(person, newest)
    await people.refresh(first.refresh_token)
    clock.advance(timedelta(minutes=1))
    with pytest.raises(AuthenticationFailed):
        await people.refresh(first.refresh_token)
    await people.log_in(with_password(), address="a", code=None)
    await people.log_in(with_password(), address="a", code=None)
    with pytest.raises(AuthorizationFailed):
        await people.change_password(person, WRONG, code=None)
    await people.change_password(person, CHANGE, code=None)
    user = f"user:{person.user}"
    expected = [
        (user, "session.started", {}),
        (user, "session.started", {}),
        (user, "session.ended", {"because": "ended by the user"}),
        ("system", "session.ended", {"because": "a refresh token was used twice"}),
        (user, "session.started", {}),
        (user, "session.started", {}),
        (user, "password.changed", {"sessions_ended": 2}),
    ]
    assert await entries(database, elsewhere) == expected
    at_home = await entries(database, person.tenant_id)
    assert [action for _, action, _ in at_home[:2]] == ["tenant.created", "user.registered"]
    assert at_home[2:] == expected
    async with database.reading() as session:
        ended = await session.scalars(
            select(AuditEventRow.resource_id).where(
                AuditEventRow.action == "session.ended", AuditEventRow.tenant_id == elsewhere
            )
        )
        assert list(ended) == [newest, oldest]


async def test_a_log_out_is_on_record_once(database: Database, clock: FrozenClock) -> None:
    """The second finds nothing to end."""
    people = sessions(database, clock)
    person = await ada(people)
    for _ in range(2):
        await people.log_out(person)
    assert [action for _, action, _ in await entries(database, person.tenant_id)][2:] == []
    await people.log_in(with_password(), address="a", code=None)
    [living] = (await people.living(person)).items
    for _ in range(2):
        await people.log_out(Principal(**{**_fields(person), "session_id": living.id}))
    told = (await entries(database, person.tenant_id))[2:]
    assert [(action, details) for _, action, details in told] == [
        ("session.started", {}),
        ("session.ended", {"because": "logged out"}),
    ]


def code(secret: bytes, clock: FrozenClock) -> str:
    return totp.code_at(secret, totp.step_of(clock.now()))


def _fields(person: Principal) -> dict[str, Any]:
    return {name: getattr(person, name) for name in ("tenant_id", "scopes", "user_id")}


async def test_a_second_factor_is_on_record_and_guards_the_password(
    database: Database, clock: FrozenClock, factor: SecondFactor
) -> None:
    """Enabled, asked for by a change of the password whatever the password is, disabled; what is refused is not."""
    people = sessions(database, clock, second_factor=factor)
    person = await ada(people)
    secret = base64.b32decode((await factor.enrol(person.user)).secret)
    with pytest.raises(MfaInvalid):
        await factor.confirm(person.user, "000000")
    await factor.confirm(person.user, code(secret, clock))
    clock.advance(timedelta(seconds=totp.STEP_SECONDS))
    with pytest.raises(MfaRequired):
        await people.change_password(person, CHANGE, code=None)
    with pytest.raises(MfaInvalid):
        await people.change_password(person, CHANGE, code="000000")
    await people.log_in(with_password(), address="a", code=code(secret, clock))
    clock.advance(timedelta(seconds=totp.STEP_SECONDS))
    await people.change_password(person, CHANGE, code=code(secret, clock))
    clock.advance(timedelta(seconds=totp.STEP_SECONDS))
    await factor.disable(person.user, code(secret, clock))
    told = (await entries(database, person.tenant_id))[2:]
    assert [action for _, action, _ in told] == [
        "totp.enabled",
        "session.started",
        "password.changed",
        "totp.disabled",
    ]
