"""On which terms a secret is given out, to whom, and why not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.errors import AuthorizationFailed, MfaInvalid, MfaRequired, RateLimitExceeded, SecretExpired
from stores.sql.models import SecretRow, SecretVersionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who asks for a value, and what for. `stepped_up`: a second factor was shown for this very request."""

    principal: str
    stepped_up: bool = False
    flow: str | None = None
    execution: str | None = None
    host: str | None = None

    @property
    def purpose(self) -> dict[str, str]:
        """Return what it is asked for, where that is known."""
        asked = {"flow": self.flow, "execution": self.execution, "host": self.host}
        return {name: value for name, value in asked.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a secret is given out. None: as they are; of a new secret, none."""

    tags: Sequence[str] | None = None
    require_mfa: bool | None = None
    allowed_hosts: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """A version of a secret, and what it is: never logged, never compared, shown by no repr."""

    key: str
    version: int
    value: str = field(repr=False, compare=False)
    expires_at: datetime | None


def refusal_of(row: SecretRow, version: SecretVersionRow, reader: Reader, now: datetime) -> Exception | None:
    """Return why `reader` may not have this version now, None if they may."""
    if _is_over(version, now):
        return _expired(version)
    if row.require_mfa and not reader.stepped_up:
        return MfaRequired("This secret is given out with a second factor only.")
    if reader.host is not None and row.allowed_hosts and not is_allowed(reader.host, row.allowed_hosts):
        return AuthorizationFailed("This secret may not be sent to that host.", host=reader.host)
    return None


def refuse_expired(version: SecretVersionRow, now: datetime) -> None:
    """Raise SecretExpired if the version's time is over."""
    if _is_over(version, now):
        raise _expired(version)


def reason_of(refusal: Exception) -> str:
    """Return the word by which a refusal is told."""
    return next(reason for kind, reason in _REASONS if isinstance(refusal, kind))


def is_allowed(host: str, allowed: Iterable[str]) -> bool:
    """Whether one of `allowed` is this host, or is `*.` and a name that it is below. A dot at its end means nothing."""
    name = host.lower().removesuffix(".")
    return any(name == each or (each.startswith("*.") and name.endswith(each[1:])) for each in allowed)


def _is_over(version: SecretVersionRow, now: datetime) -> bool:
    return version.expires_at is not None and version.expires_at <= now


def _expired(version: SecretVersionRow) -> SecretExpired:
    assert version.expires_at is not None
    return SecretExpired("This secret has expired. Store a new version.", expired_at=version.expires_at.isoformat())


_REASONS: Sequence[tuple[type[Exception], str]] = (
    (SecretExpired, "expired"),
    (MfaRequired, "mfa_required"),
    (MfaInvalid, "mfa_invalid"),
    (RateLimitExceeded, "mfa_locked"),
    (AuthorizationFailed, "host_not_allowed"),
)
