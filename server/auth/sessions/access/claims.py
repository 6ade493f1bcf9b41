"""What an access token says, read so strictly that there is one spelling of it."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from core.ids import SessionId, TenantId, UserId, is_uuid

ALGORITHM, TYPE = "EdDSA", "at+jwt"  # RFC 8037, RFC 9068
LIFETIME = timedelta(minutes=15)
_LEEWAY_SECONDS = 5
_LONGEST = 2_048
# Header, claims, and the 64 bytes of an Ed25519 signature.
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})", re.ASCII)
_IDS = ("sub", "jti", "sid", "tenant")
_TIMES = ("exp", "nbf", "iat")
_CLAIMS = {"iss", "aud", *_IDS, *_TIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """`tenant_id` is a hint for the client: membership is looked up at each request."""

    user_id: UserId
    session_id: SessionId
    token_id: str
    tenant_id: TenantId
    issued_at: datetime
    expires_at: datetime


def header_of(token: str) -> str | None:
    """Return the kid of a token that is well-formed and says what ours say in their header, else None."""
    shape = _SHAPE.fullmatch(token) if len(token) <= _LONGEST else None
    parts = [_decoded(part) for part in shape.groups()] if shape is not None else [None]
    if any(part is None for part in parts):
        return None
    header = _object(parts[0])
    if header is None or header.keys() != {"alg", "typ", "kid"}:  # no jku, jwk, x5u, crit, zip: nothing to follow
        return None
    kid = header["kid"]
    known = header["alg"] == ALGORITHM and header["typ"] == TYPE
    return kid if known and isinstance(kid, str) and is_uuid(kid) else None


def claims_of(payload: bytes, *, issuer: str, audience: str, now: datetime) -> Claims | None:
    """Return what a payload with a right signature claims, or None unless each claim is there, typed and true now."""
    said = _object(payload)
    if said is None or said.keys() != _CLAIMS or (said["iss"], said["aud"]) != (issuer, audience):
        return None
    if not all(isinstance(said[name], str) and is_uuid(said[name]) for name in _IDS):
        return None
    if not all(type(said[name]) is int for name in _TIMES):  # a bool is an int to isinstance
        return None
    seconds = now.timestamp()
    begun = said["iat"] <= seconds + _LEEWAY_SECONDS and said["nbf"] <= seconds + _LEEWAY_SECONDS
    short = said["iat"] <= said["exp"] <= said["iat"] + LIFETIME.total_seconds()
    if not (begun and short and seconds < said["exp"] + _LEEWAY_SECONDS and said["iat"] >= 0):
        return None
    return Claims(
        user_id=UserId(said["sub"]),
        session_id=SessionId(said["sid"]),
        token_id=said["jti"],
        tenant_id=TenantId(said["tenant"]),
        issued_at=datetime.fromtimestamp(said["iat"], UTC),
        expires_at=datetime.fromtimestamp(said["exp"], UTC),
    )


def payload_of(claims: Claims, *, issuer: str, audience: str) -> bytes:
    issued = int(claims.issued_at.timestamp())
    said = {
        "iss": issuer,
        "aud": audience,
        "sub": claims.user_id,
        "jti": claims.token_id,
        "sid": claims.session_id,
        "tenant": claims.tenant_id,
        "iat": issued,
        "nbf": issued,
        "exp": int(claims.expires_at.timestamp()),
    }
    return json.dumps(said, separators=(",", ":")).encode()


def _decoded(part: str) -> bytes | None:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # Stray bits at the end would make a second spelling of the same token.
    return raw if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == part else None


def _object(raw: bytes | None) -> dict[str, Any] | None:
    try:
        said = json.loads((raw or b"").decode(), object_pairs_hook=_once, parse_constant=_refuse, parse_float=_refuse)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a name occurs twice")
    return said


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)
