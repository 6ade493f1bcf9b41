"""Sessions over a database, with passwords that cost nothing and throttles that let everybody pass."""

import hashlib
from dataclasses import replace
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from core.clock import Clock
from core.ids import SessionId, TenantId, UserId, new_id
from server.auth.principal import Principal
from server.auth.sessions.mailed.service import MailedTokens
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.registration.service import Registrations
from server.auth.sessions.schemas import LogIn, Registration
from server.auth.sessions.service import Sessions
from server.auth.tenants.account_log import AccountLog
from server.auth.tenants.service import Memberships
from server.mail.service import Postbox
from stores.audit import AuditLog
from stores.sql.engine import Database
from tests.factories.tokens import access_tokens
from vault.envelope import Envelope

EMAIL, PASSWORD = "ada@example.com", "a long sentence of my own"


class CountingHasher(PasswordHasher):
    """Hashes in no time, and counts what argon2 would have to do. `version` stands for its parameters."""

    def __init__(self, version: int = 1) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.version = version
        self.work: list[str] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.work.append("hash")
        return f"v{self.version}:{_digest(password)}"

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.work.append("verify")
        if str(hash).partition(":")[2] != _digest(password):
            raise VerifyMismatchError
        return True

    def check_needs_rehash(self, hash: str | bytes) -> bool:
        return not str(hash).startswith(f"v{self.version}:")


class OpenThrottle:
    async def take(self, subject: str) -> None:
        """Let everybody pass."""

    async def give_back(self, subject: str) -> None:
        """Nothing was taken."""


class NoSecondFactor:
    async def check(self, user_id: UserId, code: str | None) -> None:
        """Nobody has enabled one."""


def sessions(database: Database, clock: Clock, **parts: Any) -> Sessions:
    """Return the service; `parts` take the place of those that let everybody pass."""
    whole = Sessions(
        database=database,
        clock=clock,
        new_id=new_id,
        account_log=account_log(database, clock),
        tokens=access_tokens(database, clock),
        passwords=Passwords(CountingHasher()),
        second_factor=NoSecondFactor(),
        memberships=Memberships(database, clock),
        accounts=OpenThrottle(),
        addresses=OpenThrottle(),
    )
    return replace(whole, **parts)


def registrations(people: Sessions) -> Registrations:
    """Return who makes the accounts that `people` log in to, at once."""
    sealing = Envelope(bytes(32))
    return Registrations(
        database=people.database,
        clock=people.clock,
        new_id=new_id,
        audit=AuditLog(people.clock),
        account_log=people.account_log,
        passwords=people.passwords,
        mailed=MailedTokens(envelope=sealing, clock=people.clock),
        postbox=Postbox(envelope=sealing, clock=people.clock, new_id=new_id),
        proves_addresses=False,
        accounts=OpenThrottle(),
        addresses=OpenThrottle(),
    )


def account_log(database: Database, clock: Clock) -> AccountLog:
    return AccountLog(audit=AuditLog(clock), memberships=Memberships(database, clock))


async def ada(people: Sessions) -> Principal:
    """Register Ada; return her, acting in her tenant from a session of no consequence."""
    asked = Registration(email=EMAIL, password=PASSWORD, name="Ada", tenant_name=None)
    registered = await registrations(people).register(asked, address="192.0.2.1")
    assert registered is not None
    return Principal(
        tenant_id=TenantId(registered.tenant.id),
        scopes=frozenset(),
        user_id=UserId(registered.user.id),
        session_id=SessionId(new_id()),
    )


def with_password(password: str = PASSWORD, email: str = EMAIL) -> LogIn:
    return LogIn(email=email, password=password, mfa_code=None)


def _digest(password: str | bytes) -> str:
    return hashlib.sha256(password.encode() if isinstance(password, str) else password).hexdigest()
