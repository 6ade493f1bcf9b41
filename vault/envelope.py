"""Seal bytes so that only this installation reads them, and only where they were put."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import CodexError

ROOT_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class SealBroken(CodexError):
    """The bytes were changed, moved to another place, or sealed under another root key."""

    code = "SEAL_BROKEN"


class Envelope:
    """AES-256-GCM under keys derived (HKDF-SHA-256) from the root key, one per purpose.

    Layout: version (1 byte), nonce (12), ciphertext with tag. A random nonce is safe for 2**32 seals of one
    purpose (NIST SP 800-38D, section 8.3).
    """

    def __init__(self, root_key: bytes) -> None:
        if len(root_key) != ROOT_KEY_BYTES:
            raise ValueError(f"a root key has {ROOT_KEY_BYTES} bytes")
        self._root_key = root_key
        self._ciphers: dict[str, AESGCM] = {}

    def seal(self, plaintext: bytes, *, purpose: str, place: str) -> bytes:
        """Return ciphertext that opens only under the same purpose (`"totp"`) and place (the row it lies in)."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher(purpose).encrypt(nonce, plaintext, place.encode())

    def open(self, sealed: bytes, *, purpose: str, place: str) -> bytes:
        """Return the plaintext. Raises SealBroken."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise SealBroken("What lies here was not sealed by this installation.")
        try:
            return self._cipher(purpose).decrypt(nonce, ciphertext, place.encode())
        except InvalidTag:
            raise SealBroken("What lies here was changed, moved, or sealed under another root key.") from None

    def mac(self, message: bytes, *, purpose: str) -> bytes:
        """Return 32 bytes that only this installation can compute (HMAC-SHA-256): a signature without secrecy."""
        return hmac.digest(self._derived(f"mac:{purpose}"), message, hashlib.sha256)

    def _cipher(self, purpose: str) -> AESGCM:
        if purpose not in self._ciphers:
            self._ciphers[purpose] = AESGCM(self._derived(f"seal:{purpose}"))
        return self._ciphers[purpose]

    def _derived(self, label: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"codexos:{label}".encode()).derive(self._root_key)
