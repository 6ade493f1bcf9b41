"""The services about accounts, put together: for the process that answers, and for the one that writes letters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.clock import Clock
from core.ids import IdSource
from server.auth.sessions.access.service import AccessTokens
from server.auth.sessions.letters import PASSWORD_CHANGED, PASSWORD_RESET, REGISTRATION, Wording
from server.auth.sessions.mailed.service import MailedTokens
from server.auth.sessions.passwords import Passwords
from server.auth.sessions.recovery.service import Recovery, RecoveryLetters
from server.auth.sessions.registration.service import RegistrationLetters, Registrations
from server.auth.sessions.service import SecondFactor, Sessions
from server.auth.sessions.throttle import Throttle
from server.auth.tenants.account_log import AccountLog
from server.auth.tenants.service import Memberships
from server.mail.letter import Compose
from server.mail.service import Postbox
from stores.audit import AuditLog
from stores.gcra import Limit
from stores.sql.engine import Database
from vault.envelope import Envelope

_QUARTER_SECONDS, _HOUR_SECONDS = 15 * 60, 60 * 60
_LOGINS_OF_ACCOUNT = Limit(name="login-account", limit=10, period_seconds=_QUARTER_SECONDS)
_LOGINS_OF_ADDRESS = Limit(name="login-address", limit=30, period_seconds=_QUARTER_SECONDS)
# Each of these is a letter to somebody who may not have asked for it.
_RESETS_OF_ACCOUNT = Limit(name="reset-account", limit=3, period_seconds=_HOUR_SECONDS)
_RESETS_OF_ADDRESS = Limit(name="reset-address", limit=30, period_seconds=_QUARTER_SECONDS)
_REGISTRATIONS_OF_ACCOUNT = Limit(name="register-account", limit=3, period_seconds=_HOUR_SECONDS)
_REGISTRATIONS_OF_ADDRESS = Limit(name="register-address", limit=30, period_seconds=_QUARTER_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    sessions: Sessions
    registrations: Registrations
    recovery: Recovery


def accounts(
    *,
    database: Database,
    envelope: Envelope,
    clock: Clock,
    new_id: IdSource,
    audit: AuditLog,
    account_log: AccountLog,
    tokens: AccessTokens,
    passwords: Passwords,
    second_factor: SecondFactor,
    memberships: Memberships,
    throttle: Callable[[Limit], Throttle],
    proves_addresses: bool,
) -> Accounts:
    """Return what answers requests. `proves_addresses`: see Registrations."""
    mailed = MailedTokens(envelope=envelope, clock=clock)
    postbox = Postbox(envelope=envelope, clock=clock, new_id=new_id)
    return Accounts(
        sessions=Sessions(
            database=database,
            clock=clock,
            new_id=new_id,
            account_log=account_log,
            tokens=tokens,
            passwords=passwords,
            second_factor=second_factor,
            memberships=memberships,
            accounts=throttle(_LOGINS_OF_ACCOUNT),
            addresses=throttle(_LOGINS_OF_ADDRESS),
        ),
        registrations=Registrations(
            database=database,
            clock=clock,
            new_id=new_id,
            audit=audit,
            account_log=account_log,
            passwords=passwords,
            mailed=mailed,
            postbox=postbox,
            proves_addresses=proves_addresses,
            accounts=throttle(_REGISTRATIONS_OF_ACCOUNT),
            addresses=throttle(_REGISTRATIONS_OF_ADDRESS),
        ),
        recovery=Recovery(
            database=database,
            clock=clock,
            account_log=account_log,
            tokens=tokens,
            passwords=passwords,
            mailed=mailed,
            postbox=postbox,
            accounts=throttle(_RESETS_OF_ACCOUNT),
            addresses=throttle(_RESETS_OF_ADDRESS),
        ),
    )


def composers(
    *, database: Database, envelope: Envelope, clock: Clock, audit: AuditLog, wording: Wording
) -> Mapping[str, Compose]:
    """Return who writes the letter of each kind of mail."""
    mailed = MailedTokens(envelope=envelope, clock=clock)
    account_log = AccountLog(audit=audit, memberships=Memberships(database, clock))
    recovery = RecoveryLetters(database=database, account_log=account_log, mailed=mailed, wording=wording)
    registration = RegistrationLetters(database=database, mailed=mailed, wording=wording)
    return {
        PASSWORD_RESET: recovery.reset,
        PASSWORD_CHANGED: recovery.changed,
        REGISTRATION: registration.registration,
    }
