"""Keys of this installation: the root key in its file, and new key pairs for whoever signs."""

import base64
import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import CodexError
from vault.envelope import ROOT_KEY_BYTES


class RootKeyUnusable(CodexError):
    """The root key is missing, damaged or readable by others; without it nothing sealed can be opened."""

    code = "ROOT_KEY_UNUSABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyPair:
    """An Ed25519 pair, both halves as the `x` and `d` of a JWK (RFC 8037): 32 bytes in base64url without padding."""

    public: str
    private: str


def new_signing_key_pair() -> SigningKeyPair:
    key = Ed25519PrivateKey.generate()
    return SigningKeyPair(
        public=_base64url(key.public_key().public_bytes_raw()), private=_base64url(key.private_bytes_raw())
    )


def read_root_key(file: Path, *, make: bool) -> bytes:
    """Return the 32 bytes that `file` holds in hex. `make` writes a new one, mode 0600, where there is none.

    Raises RootKeyUnusable with a sentence that says what to do.
    """
    if make:
        with contextlib.suppress(FileExistsError):
            _write(file)
    try:
        mode = file.stat().st_mode
        text = file.read_text("ascii").strip()
    except FileNotFoundError:
        raise RootKeyUnusable(f"There is no root key at {file}. Restore it, or set CODEXOS_ROOT_KEY_FILE.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RootKeyUnusable(f"The root key at {file} cannot be read: {error}.") from None
    if mode & 0o077:
        raise RootKeyUnusable(f"The root key at {file} is readable by others. Run: chmod 600 {file}")
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != ROOT_KEY_BYTES:
        raise RootKeyUnusable(f"The root key at {file} is damaged: it should be {ROOT_KEY_BYTES} bytes in hex.")
    return key


def _write(file: Path) -> None:
    """Put a new key there, whole or not at all; raises FileExistsError where another process was first."""
    if file.exists():
        raise FileExistsError(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(ROOT_KEY_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        os.link(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
