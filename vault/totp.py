"""Time-based one-time passwords (RFC 6238): six digits, thirty seconds, SHA-1, as every authenticator understands."""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

DIGITS = 6
STEP_SECONDS = 30
# A clock may be one step off, either way (RFC 6238, section 5.2).
_DRIFT_STEPS = (0, -1, 1)
_SECRET_BYTES = 20  # the length of the hash, as RFC 4226 recommends
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)
_RECOVERY_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is mistaken for something else on paper
_RECOVERY_LENGTH = 16  # 31**16: 79 bits
_RECOVERY_CODE = re.compile(rf"[{_RECOVERY_ALPHABET}]{{{_RECOVERY_LENGTH}}}")
RECOVERY_CODES = 10


def new_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)


def step_of(moment: datetime) -> int:
    """Return the number of the time step `moment` lies in, counted from 1970."""
    return int(moment.timestamp()) // STEP_SECONDS


def code_at(secret: bytes, step: int) -> str:
    """Return the code of one time step."""
    return HOTP(secret, DIGITS, SHA1()).generate(step).decode()


def matching_step(secret: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """Return the step near `now`, later than `after`, whose code this is; None if there is none.

    A code is exactly six digits 0-9. `after` is the newest step that was used: a code works once.
    """
    if not _CODE.fullmatch(code):
        return None
    near = step_of(now)
    # All are compared, always: how long it takes tells nothing.
    matches = [
        step for step in (near + drift for drift in _DRIFT_STEPS) if hmac.compare_digest(code_at(secret, step), code)
    ]
    return next((step for step in matches if step > after), None)


def base32(secret: bytes) -> str:
    """Return the secret as it is typed into an authenticator that cannot see the picture."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return what the picture says, in the form that authenticators read."""
    label = quote(f"{issuer}:{account}", safe="")
    asked = {"secret": base32(secret), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"


def new_recovery_codes() -> list[str]:
    """Return codes that each work once in place of a device that is lost."""
    return ["".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]


def is_recovery_code(code: str) -> bool:
    return _RECOVERY_CODE.fullmatch(code) is not None


def hash_recovery_code(code: str) -> str:
    """Return the SHA-256 in hex: 79 random bits need no slow hash."""
    return hashlib.sha256(code.encode()).hexdigest()


def hash_recovery_codes(codes: Iterable[str]) -> list[str]:
    return [hash_recovery_code(code) for code in codes]
