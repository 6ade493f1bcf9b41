"""API keys: how one is made, recognised at sight, and compared. The key itself is never stored."""

import hashlib
import hmac
import secrets
import zlib
from typing import Literal

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 32  # 62**32: more than 190 bits
_CHECKSUM_LENGTH = 6  # CRC-32 in base 62 fits six characters

KeyMode = Literal["live", "test"]


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def new_api_key(mode: KeyMode) -> str:
    """Return `cxk_<mode>_<32 random base-62 characters><6 checksum characters>`."""
    stem = f"cxk_{mode}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_BODY_LENGTH))
    return stem + _checksum(stem)


def looks_like_api_key(token: str) -> bool:
    """Whether prefix, length and checksum are right, so a typing error costs no look-up."""
    if not token.isascii() or not token.startswith(("cxk_live_", "cxk_test_")):
        return False
    if len(token) != len("cxk_live_") + _BODY_LENGTH + _CHECKSUM_LENGTH:
        return False
    stem, checksum = token[:-_CHECKSUM_LENGTH], token[-_CHECKSUM_LENGTH:]
    return hmac.compare_digest(_checksum(stem), checksum)


def hash_api_key(token: str) -> str:
    """Return the SHA-256 of the key in hex. A key has 190 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
