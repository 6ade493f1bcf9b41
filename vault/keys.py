"""New key pairs for whoever signs."""

import base64
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


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


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
