"""The contract of stores that keep what secrets are. Which there are, and who may have them, is not theirs to know."""

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A value that a store elsewhere has: under which key, and what stands before the colon of how it is stored."""

    key: str
    number: str


class SecretStore(Protocol):
    """Every method raises SecretStoreSealed or SecretStoreUnreachable while the store does not answer.

    One that `joins_transactions` keeps values in the platform's own database, in the unit of work that is under way.
    Any other may take its time, and is asked outside of them.
    """

    @property
    def joins_transactions(self) -> bool: ...

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        """Keep the value; return how the store knows it, in at most 255 characters.

        `written_as` is drawn for this write, here if it is not given; by it, too, the value can be destroyed.
        """

    async def read(self, place: Place, stored_as: str) -> bytes:
        """Return the value. Raises SecretBroken."""

    async def destroy(self, place: Place, stored_as: str) -> None:
        """Make the value unreadable for good. Done twice it is done once; done to what is not there, it is done."""

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        """Make everything of the tenant unreadable for good."""

    async def kept(self, tenant_id: TenantId) -> Sequence[Kept]:
        """Return which values of the tenant can be read; of a store that joins transactions, none."""

    async def health(self) -> None:
        """Return if the store answers and is unsealed."""
