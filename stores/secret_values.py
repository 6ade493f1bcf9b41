"""Sealed values and the tenants' sealed keys, in SQL: bytes that nobody can read here."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import TenantId
from stores.sql.models import SecretValueRow, VaultKeyRow
from stores.sql.repository import TenantRepository


class SecretValues(TenantRepository):
    """Those of one tenant, in a transaction."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        super().__init__(session, tenant_id)

    async def newest_key(self) -> VaultKeyRow | None:
        return await self._session.scalar(self.rows_of(VaultKeyRow).order_by(VaultKeyRow.number.desc()).limit(1))

    async def key(self, key_id: str) -> VaultKeyRow | None:
        return await self._session.scalar(self.rows_of(VaultKeyRow).where(VaultKeyRow.id == key_id))

    async def keys(self) -> Sequence[VaultKeyRow]:
        return (await self._session.scalars(self.rows_of(VaultKeyRow).order_by(VaultKeyRow.number))).all()

    async def find(self, value_id: str) -> SecretValueRow | None:
        return await self._session.scalar(self.rows_of(SecretValueRow).where(SecretValueRow.id == value_id))

    async def add(self, row: SecretValueRow | VaultKeyRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, value_id: str) -> None:
        await self._session.execute(
            delete(SecretValueRow).where(SecretValueRow.tenant_id == self.tenant_id, SecretValueRow.id == value_id)
        )

    async def remove_all(self) -> None:
        """Delete the tenant's values and keys: what was sealed under these is noise wherever a copy lies."""
        for model in (SecretValueRow, VaultKeyRow):
            await self._session.execute(delete(model).where(model.__table__.c["tenant_id"] == self.tenant_id))


async def tenants_with_keys(session: AsyncSession) -> list[TenantId]:
    found = await session.scalars(select(VaultKeyRow.tenant_id).distinct())
    return [TenantId(tenant_id) for tenant_id in found]
