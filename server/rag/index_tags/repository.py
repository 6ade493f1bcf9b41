"""A tenant's tags, in SQL."""

from datetime import datetime

from sqlalchemy import func, select

from stores.sql.models import IndexPointerRow, IndexTagRow
from stores.sql.repository import TenantRepository


class TagRepository(TenantRepository):
    async def hold(self) -> None:
        """Hold the tenant's pointer: tags and generations of one tenant change in turn."""
        await self._session.scalar(self.rows_of(IndexPointerRow).with_for_update())

    async def find(self, name: str) -> IndexTagRow | None:
        return await self._session.scalar(self.rows_of(IndexTagRow).where(IndexTagRow.name == name))

    async def count(self) -> int:
        return await self._session.scalar(select(func.count()).select_from(self.rows_of(IndexTagRow).subquery())) or 0

    async def add(self, name: str, *, generation_id: str, version: int, created_by: str, now: datetime) -> None:
        self._session.add(
            IndexTagRow(
                tenant_id=self.tenant_id,
                name=name,
                generation_id=generation_id,
                version=version,
                created_by=created_by,
                created_at=now,
            )
        )
        await self._session.flush()

    async def remove(self, row: IndexTagRow) -> None:
        await self._session.delete(row)
        await self._session.flush()
