"""An endpoint's secrets and headers at rest: sealed under the installation's root key, each in its own place."""

from dataclasses import dataclass

from vault.envelope import Envelope

_SECRET = "webhook-secret"
_HEADERS = "webhook-headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What is sealed for one endpoint opens for no other. Opening raises SealBroken."""

    envelope: Envelope

    def seal_secret(self, secret: str, endpoint_id: str) -> bytes:
        return self.envelope.seal(secret.encode(), purpose=_SECRET, place=endpoint_id)

    def open_secret(self, sealed: bytes, endpoint_id: str) -> str:
        return self.envelope.open(sealed, purpose=_SECRET, place=endpoint_id).decode()

    def seal_headers(self, headers: str, endpoint_id: str) -> bytes:
        return self.envelope.seal(headers.encode(), purpose=_HEADERS, place=endpoint_id)

    def open_headers(self, sealed: bytes, endpoint_id: str) -> str:
        return self.envelope.open(sealed, purpose=_HEADERS, place=endpoint_id).decode()
