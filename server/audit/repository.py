"""The audit log of one tenant in SQL, to be read: what appends to it is stores/audit.py."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import TenantId
from server.openapi.pagination import Slice
from stores.sql.models import AuditEventRow


class AuditRepository:
    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def page(
        self,
        *,
        before: int | None,
        offset: int,
        limit: int,
        since: datetime | None,
        until: datetime | None,
        **equals: str | None,
    ) -> Slice[AuditEventRow]:
        """Return one page, newest first, from behind the entry `before`. `equals` are columns and their values."""
        matching = select(AuditEventRow).where(AuditEventRow.tenant_id == self._tenant_id)
        for column, value in equals.items():
            if value is not None:
                matching = matching.where(getattr(AuditEventRow, column) == value)
        if since is not None:
            matching = matching.where(AuditEventRow.occurred_at >= since)
        if until is not None:
            matching = matching.where(AuditEventRow.occurred_at < until)
        total = await self._session.scalar(select(func.count()).select_from(matching.subquery()))
        if before is not None:
            matching = matching.where(AuditEventRow.sequence < before)
        page = matching.order_by(AuditEventRow.sequence.desc()).offset(offset).limit(limit + 1)
        return Slice.of((await self._session.scalars(page)).all(), limit=limit, total=total or 0)
