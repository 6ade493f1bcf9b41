"""Take credentials out of what is about to be written down: by the name they go by, and by sight."""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_NAMES = (
    r"(?:pass(?:word|wd|phrase)|secret|token|authorization|api[_-]?key|credential|cookie|private[_-]?key"
    r"|(?:recovery|mfa)[_-]?code"
    r"|idempotency[_-]?key)s?"
)
# The name's end counts: `refresh_token` and `newPassword` hold secrets, `token_id` and `password_changed` do not.
_SECRET_NAME = re.compile(rf"{_NAMES}\Z", re.IGNORECASE)
_AT_SIGHT = [
    (re.compile(r"cxk_(?:live|test)_[0-9A-Za-z]{8,}"), REDACTED),
    (re.compile(r"cx[rm]_[A-Za-z0-9_-]{16,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), REDACTED),  # a JWT
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {REDACTED}"),
    (re.compile(r"(://)[^/\s@\"']+@"), rf"\1{REDACTED}@"),  # user and password of a URL
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # name=value, 'name': 'value', "name":["value"] and name: value, as reprs, bodies and query strings have them. After
    # an equals sign an unquoted value ends with its word, after a colon only with its line: it may be a sentence.
    (
        re.compile(
            rf"({_NAMES}[\"']?\s*[:=]\s*+)(?!{re.escape(REDACTED)})"
            r"(b?\"(?:[^\"\\]|\\.)*\"|b?'(?:[^'\\]|\\.)*'|\[[^\]]*\]?|\([^)]*\)?|(?<==)[^\s\"',;&)}\]]+|[^\"',;&)}\]\n]+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
]

# Every pattern above needs one of these, in whatever case; most lines of a log have none.
_SIGNS = (
    *("pass", "secret", "token", "authorization", "key", "credential", "cookie", "recovery", "mfa"),
    *("cxk_", "cxr_", "cxm_", "eyj", "bearer", "basic", "://"),
)


def redacted_text(text: str) -> str:
    """Return `text` without what looks like a credential."""
    if text.isascii():  # beyond ASCII the patterns know more of upper and lower case than str.lower
        lowered = text.lower()
        if not any(sign in lowered for sign in _SIGNS):
            return text
    for pattern, replacement in _AT_SIGHT:
        text = pattern.sub(replacement, text)
    return text


def redacted(value: Any, name: str = "") -> Any:
    """Return `value` as it may be logged under `name`. Numbers stay: a count of tokens is no token."""
    if isinstance(value, bool | int | float | None):
        return value
    if _is_secret(name):
        return REDACTED
    match value:
        case str():
            return redacted_text(value)
        case Mapping():
            return {redacted_text(str(key)): redacted(inner, str(key)) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(inner) for inner in value]
        case bytes():
            return redacted_text(value.decode(errors="backslashreplace"))
        case _:
            return redacted_text(repr(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog's: stands last before the renderer, when exceptions are text already."""
    return {name: redacted(value, name) for name, value in event.items()}
