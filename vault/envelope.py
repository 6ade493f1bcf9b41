"""Seal bytes so that only this installation reads them, and only where they were put."""

import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import CodexError

ROOT_KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME_BYTES = 8
_NAMELESS = b"\x01"  # as it was before there could be two root keys
_NAMED = b"\x02"
# What a seal begins with that tells which root key it is under.
PREFIX_BYTES = len(_NAMED) + _NAME_BYTES


class SealBroken(CodexError):
    """The bytes were changed, moved to another place, or sealed under a root key that is not here."""

    code = "SEAL_BROKEN"


class Envelope:
    """AES-256-GCM under keys derived (HKDF-SHA-256) from the root keys, one per purpose. The first of them seals.

    Layout: version (1 byte), name of the root key (8), nonce (12), ciphertext with tag. A random nonce is safe for
    2**32 seals of one purpose (NIST SP 800-38D, section 8.3). `reread` returns the root keys once they have changed,
    None else; a key that was among them opens until this process ends.
    """

    def __init__(self, *root_keys: bytes, reread: Callable[[], Sequence[bytes] | None] = lambda: None) -> None:
        self._reread = reread
        self._by_name: dict[bytes, bytes] = {}
        self._sealing = b""
        self._ciphers: dict[tuple[bytes, str], AESGCM] = {}
        self._take(root_keys)

    def seal(self, plaintext: bytes, *, purpose: str, place: str) -> bytes:
        """Return ciphertext that opens only under the same purpose (`"totp"`) and place (the row it lies in)."""
        self._keep_up()
        name, nonce = self._sealing, os.urandom(_NONCE_BYTES)
        return _NAMED + name + nonce + self._cipher(name, purpose).encrypt(nonce, plaintext, place.encode())

    def open(self, sealed: bytes, *, purpose: str, place: str) -> bytes:
        """Return the plaintext. Raises SealBroken."""
        for name, box in self._candidates(sealed):
            try:
                return self._cipher(name, purpose).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], place.encode())
            except (InvalidTag, ValueError):
                continue
        raise SealBroken("What lies here was changed, moved, or sealed under a root key that is not here.")

    def macs(self, message: bytes, *, purpose: str) -> list[bytes]:
        """Return 32 bytes that only this installation can compute (HMAC-SHA-256): a signature without secrecy.

        Behind them stand those of the other root keys that are here: what was signed before may be met once more.
        """
        self._keep_up()
        others = [name for name in self._by_name if name != self._sealing]
        return [
            hmac.digest(_derived(self._by_name[name], f"mac:{purpose}"), message, hashlib.sha256)
            for name in (self._sealing, *others)
        ]

    @property
    def newest(self) -> bytes:
        """What every seal begins with that is made from now on."""
        self._keep_up()
        return _NAMED + self._sealing

    def _candidates(self, sealed: bytes) -> list[tuple[bytes, bytes]]:
        """Return names of root keys that may open this, each with nonce and ciphertext."""
        if sealed[:1] == _NAMELESS:
            return [(name, sealed[1:]) for name in self._by_name]
        name, box = sealed[1:PREFIX_BYTES], sealed[PREFIX_BYTES:]
        if name not in self._by_name:
            self._keep_up()
        return [(name, box)] if sealed[:1] == _NAMED and name in self._by_name else []

    def _keep_up(self) -> None:
        if (changed := self._reread()) is not None:
            self._take(changed)

    def _take(self, root_keys: Sequence[bytes]) -> None:
        named = {name_of(key): key for key in root_keys}
        self._by_name = self._by_name | named  # others may be looking through the one before
        self._sealing = next(iter(named))

    def _cipher(self, name: bytes, purpose: str) -> AESGCM:
        if (name, purpose) not in self._ciphers:
            self._ciphers[name, purpose] = AESGCM(_derived(self._by_name[name], f"seal:{purpose}"))
        return self._ciphers[name, purpose]


def has_name(sealed: bytes) -> bool:
    """Whether a seal, or what it begins with, says which root key it is under."""
    return sealed.startswith(_NAMED)


def name_of(root_key: bytes) -> bytes:
    """Return what a root key is called: it tells nothing of the key. Raises ValueError if that is too short or long."""
    if len(root_key) != ROOT_KEY_BYTES:
        raise ValueError(f"a root key has {ROOT_KEY_BYTES} bytes")
    return _derived(root_key, "name")[:_NAME_BYTES]


def _derived(root_key: bytes, label: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"codexos:{label}".encode()).derive(root_key)
