"""Signatures of a body: the reference's own header, and Standard Webhooks' three, by every secret that counts."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

SECRET_PREFIX = "whsec_"
# Standard Webhooks 1.0 asks for 24 to 64 bytes.
_SECRET_BYTES = 32
# After a rotation the secret before it signs as well for so long.
OVERLAP = timedelta(hours=24)

_OF_THE_CONNECTION = frozenset(
    [
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ]
)
_OURS = ("webhook-", "x-codexos-")


def new_secret() -> str:
    """Return `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def signed_headers(body: bytes, *, event_id: str, sent_at: datetime, signing: Sequence[str]) -> dict[str, str]:
    """Return the headers of one attempt. `signing` are the secrets that count, the newest first.

    `X-CodexOS-Signature` is the API reference's: hex HMAC-SHA256 of the body under the secret as it is written. One
    header holds one such signature, so during a rotation the older secret's comes in `X-CodexOS-Signature-Previous`.
    `webhook-*` are Standard Webhooks' (HMAC-SHA256 of `id.timestamp.body` under the secret's decoded bytes), whose
    signature header is a list.
    """
    timestamp = str(int(sent_at.timestamp()))
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_standard(body, event_id, timestamp, secret) for secret in signing),
        "x-codexos-signature": _plain(body, signing[0]),
    }
    if len(signing) > 1:
        headers["x-codexos-signature-previous"] = _plain(body, signing[1])
    return headers


def _plain(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _standard(body: bytes, event_id: str, timestamp: str, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signature = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signature).decode('ascii')}"


def reserved_pattern() -> str:
    """Return what `reserved` says as a regular expression, for those who publish it."""
    exact = "|".join(sorted(map(_in_either_case, _OF_THE_CONNECTION)))
    ours = "|".join(f"{_in_either_case(prefix)}.*" for prefix in _OURS)
    return f"^(?:{exact}|{ours})$"


def _in_either_case(name: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in name)


def reserved(name: str) -> bool:
    """Whether a header of this name is ours, or the connection's, and not an endpoint's to set."""
    name = name.lower()
    return name in _OF_THE_CONNECTION or name.startswith(_OURS)
