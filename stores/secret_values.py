"""Sealed values and the tenants' sealed keys, in SQL: bytes that nobody can read here."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import TenantId
from stores.sql.models import SecretRow, SecretValueRow, SecretVersionRow, VaultKeyRow
from stores.sql.repository import TenantRepository


class SecretValues(TenantRepository):
    """Those of one tenant, in a transaction."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        super().__init__(session, tenant_id)

    async def newest_key(self) -> VaultKeyRow | None:
        """Return the key that seals, and keep it from being removed until this transaction ends."""
        query = self.rows_of(VaultKeyRow).order_by(VaultKeyRow.number.desc()).limit(1)
        return await self._session.scalar(query.with_for_update(read=True, key_share=True))

    async def add_key(self, row: VaultKeyRow) -> bool:
        """Add a key; whether nobody was first with its number."""
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    async def remove_idle_keys(self, before: int) -> int:
        """Delete keys with lower numbers than this that seal nothing; return how many."""
        older = self.rows_of(VaultKeyRow).where(VaultKeyRow.number < before)
        # Whoever seals under one of them at this moment is waited for, and then seen by the next statement.
        held = (await self._session.scalars(older.with_for_update())).all()
        counts = await self.count_by_key()
        idle = [row.id for row in held if row.id not in counts]
        await self._session.execute(
            delete(VaultKeyRow)
            .where(VaultKeyRow.tenant_id == self.tenant_id, VaultKeyRow.id.in_(idle))
            .execution_options(synchronize_session=False)
        )
        return len(idle)

    async def keys(self) -> Sequence[VaultKeyRow]:
        return (await self._session.scalars(self.rows_of(VaultKeyRow).order_by(VaultKeyRow.number))).all()

    async def find(self, value_id: str) -> tuple[SecretValueRow, VaultKeyRow] | None:
        """Return a value and the key that seals it, both of one moment."""
        query = (
            select(SecretValueRow, VaultKeyRow)
            .join(VaultKeyRow, VaultKeyRow.id == SecretValueRow.vault_key_id)
            .where(
                SecretValueRow.tenant_id == self.tenant_id,
                VaultKeyRow.tenant_id == self.tenant_id,
                SecretValueRow.id == value_id,
            )
        )
        found = (await self._session.execute(query.execution_options(populate_existing=True))).one_or_none()
        return None if found is None else (found[0], found[1])

    async def add(self, row: SecretValueRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def under_other_keys(
        self, key_id: str, *, after: str, limit: int
    ) -> Sequence[tuple[SecretValueRow, str, int]]:
        """Return values that another key than this seals, by id, each with the key and version of its secret."""
        query = (
            select(SecretValueRow, SecretRow.key, SecretVersionRow.number)
            .join(SecretVersionRow, SecretVersionRow.stored_as == SecretValueRow.id)
            .join(SecretRow, SecretRow.id == SecretVersionRow.secret_id)
            .where(
                SecretValueRow.tenant_id == self.tenant_id,
                SecretVersionRow.tenant_id == self.tenant_id,
                SecretValueRow.vault_key_id != key_id,
                SecretValueRow.id > after,
            )
            .order_by(SecretValueRow.id)
            .limit(limit)
        )
        return [(row, key, number) for row, key, number in await self._session.execute(query)]

    async def count_by_key(self) -> dict[str, int]:
        """Return how many values each key seals; a key that seals none is left out."""
        query = (
            select(SecretValueRow.vault_key_id, func.count())
            .where(SecretValueRow.tenant_id == self.tenant_id)
            .group_by(SecretValueRow.vault_key_id)
        )
        return {row[0]: row[1] for row in await self._session.execute(query)}

    async def put_under(self, row: SecretValueRow, key_id: str, sealed_data_key: bytes) -> None:
        """Let another key seal the value, unless a third has come first."""
        await self._session.execute(
            update(SecretValueRow)
            .where(
                SecretValueRow.tenant_id == self.tenant_id,
                SecretValueRow.id == row.id,
                SecretValueRow.vault_key_id == row.vault_key_id,
            )
            .values(vault_key_id=key_id, sealed_data_key=sealed_data_key)
            .execution_options(synchronize_session=False)
        )

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
