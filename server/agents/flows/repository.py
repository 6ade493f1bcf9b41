"""Flows and their versions of one tenant, in SQL; and what of elsewhere they need to be there."""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session as Reader
from sqlalchemy.orm import load_only

from core.ids import TenantId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import (
    DocumentRow,
    DocumentStatus,
    ExecutionRow,
    FlowRow,
    FlowVersionRow,
    SecretRow,
)
from stores.sql.repository import TenantRepository


class FlowRepository(TenantRepository):
    async def find(self, flow_id: str) -> FlowRow | None:
        return await self._session.scalar(self.rows_of(FlowRow).where(FlowRow.id == flow_id))

    async def locked(self, flow_id: str) -> FlowRow | None:
        """Return the flow and hold its row: changes to it follow one another."""
        query = self.rows_of(FlowRow).where(FlowRow.id == flow_id)
        return await self._session.scalar(query.with_for_update().execution_options(populate_existing=True))

    async def version(self, flow_id: str, number: int) -> FlowVersionRow | None:
        query = self.rows_of(FlowVersionRow).where(FlowVersionRow.flow_id == flow_id, FlowVersionRow.number == number)
        return await self._session.scalar(query)

    async def published_below(self, flow_id: str, number: int) -> FlowVersionRow | None:
        """Return the last version below `number` that has been published."""
        query = self.rows_of(FlowVersionRow).where(
            FlowVersionRow.flow_id == flow_id,
            FlowVersionRow.number < number,
            FlowVersionRow.published_at.is_not(None),
        )
        return await self._session.scalar(query.order_by(FlowVersionRow.number.desc()).limit(1))

    async def executions_under_way(self, flow_id: str) -> int:
        query = select(func.count()).where(
            ExecutionRow.tenant_id == self.tenant_id,
            ExecutionRow.flow_id == flow_id,
            ExecutionRow.state.in_(("queued", "running", "waiting")),
        )
        return await self._session.scalar(query) or 0

    async def secrets(self, keys: Collection[str], now: datetime) -> set[str]:
        """Return which of these secrets are there and have not expired."""
        query = select(SecretRow.key).where(
            SecretRow.tenant_id == self.tenant_id,
            SecretRow.key.in_(keys),
            SecretRow.deleted_at.is_(None),
            or_(SecretRow.expires_at.is_(None), SecretRow.expires_at > now),
        )
        return set(await self._session.scalars(query))

    async def collections(self, names: Collection[str]) -> set[str]:
        query = select(DocumentRow.collection).where(
            DocumentRow.tenant_id == self.tenant_id,
            DocumentRow.collection.in_(names),
            DocumentRow.status != DocumentStatus.DELETED,
        )
        return set(await self._session.scalars(query.distinct()))

    async def flows(self, flow_ids: Collection[str]) -> set[str]:
        query = select(FlowRow.id).where(
            FlowRow.tenant_id == self.tenant_id, FlowRow.id.in_(flow_ids), FlowRow.status != "archived"
        )
        return set(await self._session.scalars(query))

    async def add(self, row: FlowRow | FlowVersionRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: FlowRow) -> None:
        """Delete the flow and, in the database, its versions and schedules."""
        await self._session.delete(row)
        await self._session.flush()


def page_of(
    tenant_id: TenantId, *, place: Place, limit: int, search: str | None, status: str | None
) -> Callable[[Reader], Slice[FlowRow]]:
    """Return what reads one page of a tenant's flows, newest first. `search` is as `search_name` is."""
    matching = select(FlowRow).where(FlowRow.tenant_id == tenant_id)
    if search is not None:
        matching = matching.where(FlowRow.search_name.contains(search, autoescape=True))
    if status is not None:
        matching = matching.where(FlowRow.status == status)
    page = newest_first(
        matching, FlowRow.created_at, FlowRow.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(matching, page, limit=limit)


def versions_of(
    tenant_id: TenantId, flow_id: str, *, place: Place, limit: int
) -> Callable[[Reader], Slice[FlowVersionRow]]:
    """Return what reads one page of a flow's versions, newest first, without what they do."""
    row = FlowVersionRow
    matching = select(row).where(row.tenant_id == tenant_id, row.flow_id == flow_id)
    page = matching
    if place.after is not None:
        page = page.where(row.number < int(place.after[1]))
    page = page.order_by(row.number.desc()).offset(place.offset).limit(limit + 1)
    listed = (row.flow_id, row.number, row.tenant_id, row.definition_sha256, row.published_at, row.created_by)
    return slice_of(matching, page.options(load_only(*listed, row.created_at)), limit=limit)
