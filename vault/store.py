"""The contract of stores that keep what secrets are. Which there are, and who may have them, is not theirs to know."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from core.errors import CodexError, ServiceUnavailable
from core.ids import TenantId


class SecretStoreSealed(ServiceUnavailable):
    """The store of secrets is sealed: an operator has to unseal it."""

    retry_after_seconds: ClassVar[int] = 5


class SecretStoreUnreachable(ServiceUnavailable):
    """The store of secrets does not answer, or not in time."""

    retry_after_seconds: ClassVar[int] = 5


class SecretBroken(CodexError):
    """What was stored cannot be read again: it was changed, moved, sealed under another key, or is gone."""

    code = "SECRET_BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value belongs; found anywhere else it does not open."""

    tenant_id: TenantId
    key: str
    version: int


class SecretStore(Protocol):
    """Every method raises SecretStoreSealed or SecretStoreUnreachable while the store does not answer.

    One that keeps values in the platform's own database joins the unit of work that is under way.
    """

    async def write(self, place: Place, value: bytes) -> str:
        """Keep the value; return how the store knows it, in at most 255 characters."""

    async def read(self, place: Place, stored_as: str) -> bytes:
        """Return the value. Raises SecretBroken."""

    async def destroy(self, place: Place, stored_as: str) -> None:
        """Make the value unreadable for good. Done twice it is done once."""

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        """Make everything of the tenant unreadable for good."""

    async def health(self) -> None:
        """Return if the store answers and is unsealed."""
