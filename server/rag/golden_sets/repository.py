"""Golden sets of one tenant, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from stores.sql.models import GoldenSetRow
from stores.sql.repository import TenantRepository


class GoldenSetRepository(TenantRepository):
    async def all(self) -> Sequence[GoldenSetRow]:
        return list(await self._session.scalars(self.rows_of(GoldenSetRow).order_by(GoldenSetRow.name)))

    async def count(self) -> int:
        return await self._session.scalar(select(func.count()).select_from(self.rows_of(GoldenSetRow).subquery())) or 0

    async def find(self, golden_set_id: str) -> GoldenSetRow | None:
        return await self._session.scalar(self.rows_of(GoldenSetRow).where(GoldenSetRow.id == golden_set_id))

    async def locked(self, golden_set_id: str) -> GoldenSetRow | None:
        query = self.rows_of(GoldenSetRow).where(GoldenSetRow.id == golden_set_id)
        return await self._session.scalar(query.with_for_update())

    async def add(
        self, golden_set_id: str, name: str, questions: Sequence[Mapping[str, Any]], *, now: datetime
    ) -> GoldenSetRow | None:
        """Return the new set, or None if the name is taken."""
        row = GoldenSetRow(
            id=golden_set_id,
            tenant_id=self.tenant_id,
            name=name,
            questions=[dict(question) for question in questions],
            version=1,
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._session.begin_nested():  # PostgreSQL forgives an error only up to a savepoint
                self._session.add(row)
        except IntegrityError:
            return None
        return row

    async def named(self, name: str) -> GoldenSetRow | None:
        return await self._session.scalar(self.rows_of(GoldenSetRow).where(GoldenSetRow.name == name))

    async def remove(self, row: GoldenSetRow) -> None:
        await self._session.delete(row)
        await self._session.flush()
