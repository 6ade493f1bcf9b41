"""New accounts. Where there is mail, nothing that is answered tells who has one; where there is none, 409 does."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import AuthenticationFailed, Conflict
from core.ids import IdSource, TenantId, UserId
from server.auth.sessions.letters import REGISTRATION, Wording
from server.auth.sessions.mailed.service import MailedTokens
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.repository import SessionRepository
from server.auth.sessions.schemas import OwnTenant, Registered, Registration, User
from server.auth.sessions.throttle import Throttle
from server.auth.tenants.account_log import AccountLog
from server.mail.letter import Letter, Posted
from server.mail.service import Postbox
from stores.audit import AuditLog
from stores.sql.engine import Database
from stores.sql.models import Role

LIFETIME = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An account to be made: of its password there is the hash only."""

    email: str
    name: str
    tenant_name: str
    password_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrations:
    """One a process. `proves_addresses` where mail reaches people: then an account begins with a token sent to it."""

    database: Database
    clock: Clock
    new_id: IdSource
    audit: AuditLog
    account_log: AccountLog
    passwords: Passwords
    mailed: MailedTokens
    postbox: Postbox
    proves_addresses: bool
    accounts: Throttle
    addresses: Throttle

    async def register(self, asked: Registration, *, address: str) -> Registered | None:
        """Make a user and the tenant they own; or return None and let them be told by mail how it goes on.

        Without mail it raises Conflict if the address is taken. With it, the answer and the work are the same, and
        it raises RateLimitExceeded and ServiceUnavailable as the throttles do.
        """
        if self.proves_addresses:
            await self.addresses.take(address)
            await self.accounts.take(_subject(asked.email))
        wanted = Wanted(
            email=asked.email,
            name=asked.name,
            tenant_name=asked.tenant_name or asked.name,
            password_hash=await self.passwords.hash(asked.password),
        )
        if not self.proves_addresses:
            return await self._make(wanted)
        content = {name: getattr(wanted, name) for name in Wanted.__slots__}
        async with self.database.transaction() as session:
            self.postbox.post(session, REGISTRATION, content, lifetime=LIFETIME)
        return None

    async def confirm(self, token: str, password: str, *, address: str) -> Registered:
        """Make the account whose registration was proven by its mail.

        The password is asked for again, or whoever registers the address of another would have them confirm an
        account whose password only the first one knows. Raises AuthenticationFailed, Conflict, and what throttles do.
        """
        await self.addresses.take(address)
        async with self.database.reading() as session:
            proven = await self.mailed.find(session, token, REGISTRATION)
        wanted = Wanted(**proven.content) if proven is not None else None
        right = await self.passwords.matches(password, wanted.password_hash if wanted is not None else None)
        if proven is None or wanted is None or not right:
            raise _not_valid()
        async with self.database.transaction() as session:
            if not await self.mailed.use(session, token, REGISTRATION, proven):
                raise _not_valid()
            made = await self._make(wanted)
        await self.addresses.give_back(address)
        return made

    async def _make(self, wanted: Wanted) -> Registered:
        now, user_id, tenant_id = self.clock.now(), UserId(self.new_id()), TenantId(self.new_id())
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            if not await people.add_user(
                user_id, email=wanted.email, name=wanted.name, password_hash=wanted.password_hash, now=now
            ):
                raise Conflict("This email address is registered. Log in, or use another.")
            await people.add_tenant(tenant_id, wanted.tenant_name, user_id, now)
            await self.audit.append(
                session,
                tenant_id,
                actor=f"user:{user_id}",
                action="tenant.created",
                resource_type="tenant",
                resource_id=tenant_id,
            )
            await session.flush()  # the log asks which tenants are theirs
            await self.account_log.append(session, user_id, action="user.registered")
        return Registered(
            user=User(id=user_id, email=wanted.email, name=wanted.name, created_at=now),
            tenant=OwnTenant(id=tenant_id, name=wanted.tenant_name, role=Role.OWNER),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationLetters:
    """Composed where mail is sent: there it is looked up whether the address is taken."""

    database: Database
    mailed: MailedTokens
    wording: Wording

    async def registration(self, posted: Posted) -> Letter | None:
        email = posted.content["email"]
        async with self.database.transaction() as session:
            user = await SessionRepository(session).user_of(email)
            if user is not None:
                return self.wording.registered_already(user.email) if user.disabled_at is None else None
            token, _ = await self.mailed.issue(
                session,
                posted,
                subject=_subject(email),
                expires_at=posted.created_at + LIFETIME,
                content=posted.content,
            )
        return self.wording.registration(email, token)


def _subject(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def _not_valid() -> AuthenticationFailed:
    return AuthenticationFailed(
        "The token or the password is not right, or the token was used or is over. Register anew for another."
    )
