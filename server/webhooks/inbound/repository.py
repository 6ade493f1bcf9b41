"""Sources that take pushes, and the pushes that they took, in SQL."""

from dataclasses import dataclass

from sqlalchemy import or_, select

from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import SourcePushRow, SourceRow, TenantRow
from stores.sql.repository import TenantRepository


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """Whose the source is that a push names, and what its secret is sealed in."""

    source_id: str
    tenant_id: TenantId
    sealed_secret: bytes


async def pushed(database: Database, source_id: str) -> Pushed | None:
    """Return the source that takes pushes under this id: whoever asks has shown nothing yet, not even a tenant."""
    row = SourceRow
    query = (
        select(row.tenant_id, row.sealed_webhook_secret)
        .join(TenantRow, TenantRow.id == row.tenant_id)
        .where(row.id == source_id, TenantRow.deleted_at.is_(None))
    )
    for tenant_id, sealed_secret in await database.rows(query):
        if sealed_secret is not None:
            return Pushed(source_id=source_id, tenant_id=TenantId(tenant_id), sealed_secret=sealed_secret)
    return None


class PushRepository(TenantRepository):
    async def locked(self, source_id: str) -> SourceRow | None:
        """Return the source and hold its row: pushes to it follow one another."""
        query = self.rows_of(SourceRow).where(SourceRow.id == source_id)
        return await self._session.scalar(query.with_for_update())

    async def is_known(self, source_id: str, delivery_id: str, body_sha256: str) -> bool:
        """Whether the push was taken already, under this id or, which nobody signs, another one."""
        row = SourcePushRow
        same = or_(row.delivery_id == delivery_id, row.body_sha256 == body_sha256)
        query = self.rows_of(SourcePushRow).where(row.source_id == source_id, same).limit(1)
        return await self._session.scalar(query) is not None

    async def add(self, row: SourcePushRow) -> None:
        self._session.add(row)
        await self._session.flush()
