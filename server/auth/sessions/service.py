"""Log in, refresh and end sessions; nothing that is told to a stranger depends on who exists."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from core.clock import Clock
from core.errors import AuthenticationFailed, AuthorizationFailed, Conflict, ResourceNotFound
from core.ids import IdSource, SessionId, TenantId, UserId
from server.auth.principal import Principal
from server.auth.sessions.access.claims import LIFETIME
from server.auth.sessions.access.service import AccessTokens
from server.auth.sessions.emails import normalised
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.repository import SessionRepository
from server.auth.sessions.schemas import (
    InvitationOf,
    LogIn,
    Me,
    MembershipOf,
    PasswordChange,
    SessionEnded,
    SessionList,
    SessionOf,
    TokenPair,
)
from server.auth.sessions.throttle import Throttle
from server.auth.tenants.account_log import AccountLog
from server.auth.tenants.service import Memberships
from stores.sql.engine import Database, Session

REFRESH_LIFETIME = timedelta(days=30)
# Refreshing prolongs a session up to here: then the password is asked for again.
SESSION_LIFETIME = timedelta(days=90)
# A client that asks twice at once, or whose answer was lost, is no thief.
_RACE = timedelta(seconds=10)
_REFRESH_TOKEN = re.compile(r"cxr_[A-Za-z0-9_-]{43}", re.ASCII)  # 256 random bits
_SHOWN_SESSIONS = 100
# The hint of somebody who belongs to no tenant.
_NOWHERE = TenantId("00000000-0000-0000-0000-000000000000")


class SecondFactor(Protocol):
    async def check(self, user_id: UserId, code: str | None) -> None:
        """Pass whoever needs none or has it. Raises MfaRequired, MfaInvalid, RateLimitExceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """One a process. `accounts` and `addresses` bound the guessing of passwords."""

    database: Database
    clock: Clock
    new_id: IdSource
    account_log: AccountLog
    tokens: AccessTokens
    passwords: Passwords
    second_factor: SecondFactor
    memberships: Memberships
    accounts: Throttle
    addresses: Throttle

    async def log_in(self, asked: LogIn, *, address: str, code: str | None) -> TokenPair:
        """Return a pair of a new session.

        Raises AuthenticationFailed, in the same words and after the same work for an unknown address and a wrong
        password; what the second factor raises; RateLimitExceeded and ServiceUnavailable as the throttles do.
        """
        account = hashlib.sha256(asked.email.encode()).hexdigest()
        await self.addresses.take(address)
        await self.accounts.take(account)
        async with self.database.reading() as session:
            user = await SessionRepository(session).user_of(asked.email)
        right = await self.passwords.matches(asked.password, user.password_hash if user is not None else None)
        if user is None or not right or user.disabled_at is not None:
            raise _not_right()
        # A second factor counts its own failures: who is asked for a code has not guessed the password.
        await self.addresses.give_back(address)
        await self.accounts.give_back(account)
        user_id = UserId(user.id)
        await self.second_factor.check(user_id, code)
        session_id = SessionId(self.new_id())
        access = await self.tokens.issue(user_id, session_id, await self._home_of(user_id))
        fresh = await self.passwords.hash(asked.password) if self.passwords.is_outdated(user.password_hash) else None
        refresh, now = _new_refresh_token(), self.clock.now()
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            held = await people.held_hash(user_id)
            # Changed since it was compared: by a new password, which ends this, or to a new hash of the same.
            if held != user.password_hash and not await self.passwords.matches(asked.password, held):
                raise _not_right()
            if fresh is not None:
                await people.set_password_hash(user_id, fresh, instead_of=user.password_hash, now=now)
            await people.add_session(session_id, user_id, now, now + REFRESH_LIFETIME)
            people.add_refresh_token(_hash(refresh), session_id, now, now + REFRESH_LIFETIME)
            await self.account_log.append(
                session, user_id, action="session.started", resource_type="session", resource_id=session_id
            )
        return _pair(access, refresh)

    async def refresh(self, token: str) -> TokenPair:
        """Return a new pair for a refresh token, which is used up by this.

        Raises Conflict if it was used a moment ago; AuthenticationFailed for any other that is not valid. One that
        was used earlier is in two hands: its session ends.
        """
        token_hash, now = _hash(token), self.clock.now()
        user_id, session_id, ends = await self._refreshable(token, token_hash, now)
        access = await self.tokens.issue(user_id, session_id, await self._home_of(user_id))
        refresh = _new_refresh_token()
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            if not await people.use_refresh_token(token_hash, now):
                raise _just_used()
            if not await people.prolong(session_id, ends):
                raise _not_valid()
            people.add_refresh_token(_hash(refresh), session_id, now, ends)
        return _pair(access, refresh)

    async def _refreshable(self, token: str, token_hash: str, now: datetime) -> tuple[UserId, SessionId, datetime]:
        """Return user, session, and until when it may be refreshed next."""
        async with self.database.reading() as session:
            found = await SessionRepository(session).refresh_token(token_hash)
        if not _REFRESH_TOKEN.fullmatch(token) or found is None:
            raise _not_valid()
        row, family, user = found
        user_id, session_id = UserId(user.id), SessionId(family.id)
        if family.revoked_at is not None or user.disabled_at is not None:
            raise _not_valid()
        if row.used_at is not None and now >= row.used_at + _RACE:
            async with self.database.transaction(independent=True) as session:  # stays, although this is refused
                await self._revoke(session, user_id, session_id, "a refresh token was used twice", by_system=True)
            await self.tokens.forget()
            raise _not_valid()
        if row.used_at is not None:
            raise _just_used()
        if now >= min(row.expires_at, family.expires_at):
            raise _not_valid()
        return user_id, session_id, min(now + REFRESH_LIFETIME, family.created_at + SESSION_LIFETIME)

    async def log_out(self, person: Principal) -> SessionEnded:
        """End the session and the access token that asks for it."""
        now, session_id = self.clock.now(), _session_of(person)
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            await self._revoke(session, person.user, session_id, "logged out")
            if person.token_id is not None and person.token_expires_at is not None:
                await people.revoke_token(person.token_id, now, person.token_expires_at)
        await self.database.when_committed(self.tokens.forget)
        return SessionEnded(id=session_id)

    async def end(self, person: Principal, session_id: str) -> SessionEnded:
        """End one of the person's own sessions. Raises ResourceNotFound for any other."""
        async with self.database.transaction() as session:
            if not await self._revoke(session, person.user, SessionId(session_id), "ended by the user"):
                raise ResourceNotFound("session", session_id)
        await self.database.when_committed(self.tokens.forget)
        return SessionEnded(id=session_id)

    async def _revoke(
        self, session: Session, user_id: UserId, session_id: SessionId, because: str, *, by_system: bool = False
    ) -> bool:
        """End one session of the user, on record; whether there was one to end."""
        if not await SessionRepository(session).revoke(user_id, session_id, because, self.clock.now()):
            return False
        await self.account_log.append(
            session,
            user_id,
            action="session.ended",
            resource_type="session",
            resource_id=session_id,
            by_system=by_system,
            because=because,
        )
        return True

    async def living(self, person: Principal) -> SessionList:
        async with self.database.reading() as session:
            rows = await SessionRepository(session).living(person.user, self.clock.now(), _SHOWN_SESSIONS)
        return SessionList(
            items=[
                SessionOf(
                    id=row.id,
                    created_at=row.created_at,
                    expires_at=row.expires_at,
                    current=row.id == person.session_id,
                )
                for row in rows
            ]
        )

    async def change_password(self, person: Principal, asked: PasswordChange, *, code: str | None) -> None:
        """Set a new password and end every other session.

        Raises AuthorizationFailed if the current one is wrong, and what the second factor raises.
        """
        await self.accounts.take(person.user)
        async with self.database.reading() as session:
            user = await SessionRepository(session).user(person.user)
        stored = user.password_hash if user is not None else None
        if stored is None or not await self.passwords.matches(asked.current_password, stored):
            raise AuthorizationFailed("The current password is not right.")
        await self.accounts.give_back(person.user)
        await self.second_factor.check(person.user, code)
        fresh, now = await self.passwords.hash(asked.new_password), self.clock.now()
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            if not await people.set_password_hash(person.user, fresh, instead_of=stored, now=now):
                raise Conflict("The password has just been changed by another request.")
            ended = await people.revoke_others(person.user, person.session_id, "password changed", now)
            await self.account_log.append(session, person.user, action="password.changed", sessions_ended=ended)
        await self.database.when_committed(self.tokens.forget)

    async def me(self, principal: Principal) -> Me:
        owned = await self.memberships.of(principal.user_id) if principal.user_id is not None else []
        invited = await self.memberships.invitations_of(principal.user_id) if principal.user_id is not None else []
        role = next((each.role for each in owned if each.tenant_id == principal.tenant_id), None)
        return Me(
            subject=principal.subject,
            tenant_id=principal.tenant_id if role is not None or principal.user_id is None else None,
            role=role,
            scopes=sorted(principal.scopes),
            memberships=[MembershipOf(tenant_id=each.tenant_id, role=each.role) for each in owned],
            invitations=[
                InvitationOf(
                    tenant_id=each.tenant_id,
                    tenant_name=each.tenant_name,
                    role=each.role,
                    created_at=each.created_at,
                    expires_at=each.expires_at,
                )
                for each in invited
            ],
        )

    async def _home_of(self, user_id: UserId) -> TenantId:
        return next((each.tenant_id for each in await self.memberships.of(user_id)), _NOWHERE)


async def reset_password(
    database: Database, clock: Clock, account_log: AccountLog, passwords: Passwords, email: str
) -> str | None:
    """Return a new random password of the user with this address, or None if there is none who may log in.

    All their sessions end. A second factor stays, and is asked for at the log-in.
    """
    address = normalised(email)
    chosen, now = secrets.token_urlsafe(18), clock.now()
    fresh = await passwords.hash(chosen)
    async with database.transaction() as session:
        people = SessionRepository(session)
        user = await people.user_of(address) if address is not None else None
        held = await people.held_hash(UserId(user.id)) if user is not None else None
        if user is None or held is None:
            return None
        await people.set_password_hash(UserId(user.id), fresh, instead_of=held, now=now)
        ended = await people.revoke_others(UserId(user.id), None, "password reset", now)
        await account_log.append(
            session, UserId(user.id), action="password.reset", by_system=True, sessions_ended=ended
        )
    return chosen


def _pair(access: str, refresh: str) -> TokenPair:
    return TokenPair(access_token=access, refresh_token=refresh, expires_in=int(LIFETIME.total_seconds()))


def _new_refresh_token() -> str:
    return f"cxr_{secrets.token_urlsafe(32)}"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()  # 256 random bits need no slow hash


def _session_of(person: Principal) -> SessionId:
    if person.session_id is None:
        raise TypeError("a person speaks in a session")
    return person.session_id


def _not_right() -> AuthenticationFailed:
    return AuthenticationFailed("The email address or the password is not right.")


def _just_used() -> Conflict:
    return Conflict("This refresh token has just been used. Use the pair that its first use was answered with.")


def _not_valid() -> AuthenticationFailed:
    return AuthenticationFailed("The refresh token is not valid. Log in again.")
