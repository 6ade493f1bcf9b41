"""Secrets and headers of endpoints, and of sources that take pushes, at rest: each sealed in its own place."""

from dataclasses import dataclass

from vault.envelope import Envelope

_SECRET = "webhook-secret"
_HEADERS = "webhook-headers"
_PUSHES = "source-webhook-secret"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSealing:
    """What is sealed for one source opens for no other. Opening raises SealBroken."""

    envelope: Envelope

    def seal(self, secret: str, source_id: str) -> bytes:
        return self.envelope.seal(secret.encode(), purpose=_PUSHES, place=source_id)

    def open(self, sealed: bytes, source_id: str) -> str:
        return self.envelope.open(sealed, purpose=_PUSHES, place=source_id).decode()
