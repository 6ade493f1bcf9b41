"""Tenants and API keys in SQL. Looking up a key is the one query made before a tenant is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import ApiKeyId, TenantId
from stores.sql.models import ApiKeyRow, TenantRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    key_id: ApiKeyId
    tenant_id: TenantId
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AuthRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def key_by_hash(self, key_hash: str) -> StoredKey | None:
        row = await self._session.scalar(select(ApiKeyRow).where(ApiKeyRow.key_hash == key_hash))
        if row is None:
            return None
        return StoredKey(
            key_id=ApiKeyId(row.id),
            tenant_id=TenantId(row.tenant_id),
            scopes=frozenset(row.scopes),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    async def tenant_named(self, name: str) -> TenantId | None:
        """Return the oldest tenant of that name."""
        found = await self._session.scalar(
            select(TenantRow.id).where(TenantRow.name == name).order_by(TenantRow.created_at, TenantRow.id).limit(1)
        )
        return TenantId(found) if found is not None else None

    async def add_tenant(self, tenant_id: TenantId, name: str, now: datetime) -> None:
        self._session.add(TenantRow(id=tenant_id, name=name, created_at=now))
        await self._session.flush()  # its keys refer to it

    def add_key(
        self,
        key_id: ApiKeyId,
        tenant_id: TenantId,
        *,
        name: str,
        prefix: str,
        key_hash: str,
        scopes: Sequence[str],
        now: datetime,
    ) -> None:
        self._session.add(
            ApiKeyRow(
                id=key_id,
                tenant_id=tenant_id,
                name=name,
                prefix=prefix,
                key_hash=key_hash,
                scopes=list(scopes),
                created_at=now,
            )
        )

    async def revoke_keys_named(self, tenant_id: TenantId, name: str, now: datetime) -> None:
        await self._session.execute(
            update(ApiKeyRow)
            .where(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.name == name, ApiKeyRow.revoked_at.is_(None))
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )
