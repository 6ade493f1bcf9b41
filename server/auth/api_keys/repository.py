"""Tenants and API keys in SQL. Looking up a key is the one query made before a tenant is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as Reader

from core.ids import ApiKeyId, TenantId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import ApiKeyRow, TenantRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    key_id: ApiKeyId
    tenant_id: TenantId
    scopes: frozenset[str]
    plan: str
    expires_at: datetime | None
    revoked_at: datetime | None

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AuthRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def key_by_hash(self, key_hash: str) -> StoredKey | None:
        found = await self._session.execute(
            select(ApiKeyRow, TenantRow.plan)
            .join(TenantRow, TenantRow.id == ApiKeyRow.tenant_id)
            .where(ApiKeyRow.key_hash == key_hash, TenantRow.deleted_at.is_(None))
        )
        row_and_plan = found.one_or_none()
        if row_and_plan is None:
            return None
        row, plan = row_and_plan
        return StoredKey(
            plan=plan,
            key_id=ApiKeyId(row.id),
            tenant_id=TenantId(row.tenant_id),
            scopes=frozenset(row.scopes),
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    async def tenant_named(self, name: str) -> TenantId | None:
        """Return the oldest tenant of that name."""
        found = await self._session.scalar(
            select(TenantRow.id)
            .where(TenantRow.name == name, TenantRow.deleted_at.is_(None))
            .order_by(TenantRow.created_at, TenantRow.id)
            .limit(1)
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

    async def widen(self, key_id: ApiKeyId, scopes: Sequence[str]) -> None:
        await self._session.execute(
            update(ApiKeyRow)
            .where(ApiKeyRow.id == key_id)
            .values(scopes=list(scopes), version=ApiKeyRow.version + 1)
            .execution_options(synchronize_session=False)
        )

    async def mark_used(self, key_id: ApiKeyId, used_at: datetime, *, unless_after: datetime) -> None:
        """Write down the use, unless another process wrote a later one than `unless_after`."""
        await self._session.execute(
            update(ApiKeyRow)
            .where(
                ApiKeyRow.id == key_id, or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at <= unless_after)
            )
            .values(last_used_at=used_at)
            .execution_options(synchronize_session=False)
        )

    async def tenant_lives(self, tenant_id: TenantId) -> bool:
        found = await self._session.scalar(
            select(TenantRow.id).where(TenantRow.id == tenant_id, TenantRow.deleted_at.is_(None))
        )
        return found is not None

    async def revoke_keys_named(self, tenant_id: TenantId, name: str, now: datetime) -> None:
        await self._session.execute(
            update(ApiKeyRow)
            .where(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.name == name, ApiKeyRow.revoked_at.is_(None))
            .values(revoked_at=now)
            .execution_options(synchronize_session=False)
        )


class KeyRepository:
    """The keys of one tenant that are not revoked."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def _living(self) -> Select[ApiKeyRow]:
        return select(ApiKeyRow).where(ApiKeyRow.tenant_id == self._tenant_id, ApiKeyRow.revoked_at.is_(None))

    async def find(self, key_id: ApiKeyId) -> ApiKeyRow | None:
        return await self._session.scalar(self._living().where(ApiKeyRow.id == key_id))

    async def locked(self, key_id: ApiKeyId) -> ApiKeyRow | None:
        """Return the key and hold its row: changes to it follow one another."""
        return await self._session.scalar(
            self._living()
            .where(ApiKeyRow.id == key_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )

    async def add(self, row: ApiKeyRow) -> None:
        self._session.add(row)
        await self._session.flush()


def page_of(tenant_id: TenantId, *, place: Place, limit: int) -> Callable[[Reader], Slice[ApiKeyRow]]:
    """Return what reads one page of a tenant's keys, newest first."""
    living = select(ApiKeyRow).where(ApiKeyRow.tenant_id == tenant_id, ApiKeyRow.revoked_at.is_(None))
    page = newest_first(
        living, ApiKeyRow.created_at, ApiKeyRow.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(living, page, limit=limit)
