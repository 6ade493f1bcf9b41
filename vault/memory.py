"""A store that forgets when its process ends: the twin for tests."""

from core.ids import TenantId
from vault.store import Place, SecretBroken


class MemoryStore:
    def __init__(self) -> None:
        self._values: dict[tuple[Place, str], bytes] = {}
        self._written = 0

    async def write(self, place: Place, value: bytes) -> str:
        self._written += 1
        self._values[place, str(self._written)] = value
        return str(self._written)

    async def read(self, place: Place, stored_as: str) -> bytes:
        try:
            return self._values[place, stored_as]
        except KeyError:
            raise SecretBroken("There is no such value.") from None

    async def destroy(self, place: Place, stored_as: str) -> None:
        self._values.pop((place, stored_as), None)

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        self._values = {at: value for at, value in self._values.items() if at[0].tenant_id != tenant_id}

    async def health(self) -> None:
        return None
