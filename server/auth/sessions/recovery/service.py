"""A forgotten password, reset by mail. What is answered, and how soon, does not depend on who has an account."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import AuthenticationFailed
from core.ids import UserId
from server.auth.sessions.access.service import AccessTokens
from server.auth.sessions.letters import PASSWORD_CHANGED, PASSWORD_RESET, Wording
from server.auth.sessions.mailed.service import MailedTokens
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.repository import SessionRepository
from server.auth.sessions.throttle import Throttle
from server.auth.tenants.account_log import AccountLog
from server.mail.letter import Letter, Posted
from server.mail.service import Postbox
from stores.sql.engine import Database

LIFETIME = timedelta(hours=1)
_NOTICE_LIFETIME = timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One a process. `accounts` and `addresses` bound the letters one person is sent, and the guessing."""

    database: Database
    clock: Clock
    account_log: AccountLog
    tokens: AccessTokens
    passwords: Passwords
    mailed: MailedTokens
    postbox: Postbox
    accounts: Throttle
    addresses: Throttle

    async def ask(self, email: str, *, address: str) -> None:
        """Have a token sent to whoever has this address, if anybody.

        Whether somebody has is looked up when the mail is sent, by another process: here there is nothing to be seen.
        Raises RateLimitExceeded and ServiceUnavailable as the throttles do.
        """
        await self.addresses.take(address)
        await self.accounts.take(hashlib.sha256(email.encode()).hexdigest())
        async with self.database.transaction() as session:
            self.postbox.post(session, PASSWORD_RESET, {"email": email}, lifetime=LIFETIME)

    async def confirm(self, token: str, new_password: str, *, address: str) -> None:
        """Set a new password and end all sessions. Raises AuthenticationFailed for a token that is not valid."""
        await self.addresses.take(address)
        async with self.database.reading() as session:
            proven = await self.mailed.find(session, token, PASSWORD_RESET)
        if proven is None:
            raise _not_valid()
        fresh, now, user_id = await self.passwords.hash(new_password), self.clock.now(), UserId(proven.subject)
        async with self.database.transaction() as session:
            people = SessionRepository(session)
            held = await people.held_hash(user_id)  # one after the other: of two tokens of a user one is used
            if held is None or not await self.mailed.use(session, token, PASSWORD_RESET, proven):
                raise _not_valid()
            await people.set_password_hash(user_id, fresh, instead_of=held, now=now)
            ended = await people.revoke_others(user_id, None, "password reset", now)
            await self.account_log.append(session, user_id, action="password.reset", by_mail=True, sessions_ended=ended)
            user = await people.user(user_id)
            if user is not None:
                self.postbox.post(session, PASSWORD_CHANGED, {"email": user.email}, lifetime=_NOTICE_LIFETIME)
        await self.addresses.give_back(address)
        await self.database.when_committed(self.tokens.forget)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLetters:
    """Composed where mail is sent."""

    database: Database
    account_log: AccountLog
    mailed: MailedTokens
    wording: Wording

    async def reset(self, posted: Posted) -> Letter | None:
        async with self.database.transaction() as session:
            user = await SessionRepository(session).user_of(posted.content["email"])
            if user is None or user.disabled_at is not None:
                return None
            token, new = await self.mailed.issue(
                session, posted, subject=user.id, expires_at=posted.created_at + LIFETIME
            )
            if new:
                await self.account_log.append(session, UserId(user.id), action="password.reset_asked", by_system=True)
        # To the address on record, whatever the one that was typed in looks like.
        return self.wording.password_reset(user.email, token)

    async def changed(self, posted: Posted) -> Letter | None:
        return self.wording.password_changed(posted.content["email"])


def _not_valid() -> AuthenticationFailed:
    return AuthenticationFailed("The token is not valid: it was used, or is over, or never was. Ask for a new one.")
