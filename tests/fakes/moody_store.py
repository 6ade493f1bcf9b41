"""A store of secrets that is sealed, or takes too long, while it is told to."""

import asyncio

from core.ids import TenantId
from vault.memory import MemoryStore
from vault.store import Place, SecretStoreSealed, SecretStoreUnreachable


class MoodyStore(MemoryStore):
    """`mood` is well, sealed or slow. Slow is what a timeout makes of a store that does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = "well"

    async def write(self, place: Place, value: bytes, *, written_as: str | None = None) -> str:
        await self._answer()
        return await super().write(place, value, written_as=written_as)

    async def read(self, place: Place, stored_as: str) -> bytes:
        await self._answer()
        return await super().read(place, stored_as)

    async def destroy(self, place: Place, stored_as: str) -> None:
        await self._answer()
        await super().destroy(place, stored_as)

    async def forget_tenant(self, tenant_id: TenantId) -> None:
        await self._answer()
        await super().forget_tenant(tenant_id)

    async def health(self) -> None:
        await self._answer()

    async def _answer(self) -> None:
        if self.mood == "sealed":
            raise SecretStoreSealed("The store of secrets is sealed.")
        if self.mood == "slow":
            await asyncio.sleep(0.05)
            raise SecretStoreUnreachable("The store of secrets does not answer.")
