"""A store that forgets when its process ends: the twin for tests of one that is elsewhere."""

from collections.abc import Sequence
from uuid import uuid4

from core.ids import TenantId
from vault.store import Kept, Place, SecretBroken


class MemoryStore:
    joins_transactions = False

    def __init__(self) -> None:
        self._values: dict[tuple[TenantId, str, str], tuple[Place, bytes]] = {}

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        stored_as = written_as or uuid4().hex
        self._values[place.tenant_id, place.key, stored_as] = (place, value)
        return stored_as

    async def read(self, place: Place, stored_as: str) -> bytes:
        written_at, value = self._values.get((place.tenant_id, place.key, stored_as), (None, b""))
        if written_at != place:
            raise SecretBroken("There is no such value.")
        return value

    async def destroy(self, place: Place, stored_as: str) -> None:
        self._values.pop((place.tenant_id, place.key, stored_as), None)

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        self._values = {at: value for at, value in self._values.items() if at[0] != tenant_id}

    async def kept(self, tenant_id: TenantId) -> Sequence[Kept]:
        return [Kept(key=key, number=stored_as) for owner, key, stored_as in self._values if owner == tenant_id]

    async def health(self) -> None:
        return None
