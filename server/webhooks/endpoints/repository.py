"""Endpoints of one tenant, in SQL."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import WebhookDeliveryRow, WebhookEndpointRow
from stores.sql.repository import TenantRepository


class EndpointRepository(TenantRepository):
    async def find(self, endpoint_id: str) -> WebhookEndpointRow | None:
        return await self._session.scalar(self.rows_of(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id))

    async def locked(self, endpoint_id: str) -> WebhookEndpointRow | None:
        """Return the endpoint and hold its row: changes to it follow one another, and deliveries are still made."""
        query = self.rows_of(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id)
        return await self._session.scalar(
            query.with_for_update(key_share=True).execution_options(populate_existing=True)
        )

    async def add(self, row: WebhookEndpointRow | WebhookDeliveryRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: WebhookEndpointRow) -> None:
        """Delete the endpoint and, in the database, its deliveries."""
        await self._session.delete(row)
        await self._session.flush()


def page_of(tenant_id: TenantId, *, place: Place, limit: int) -> Callable[[Reader], Slice[WebhookEndpointRow]]:
    """Return what reads one page of a tenant's endpoints, newest first."""
    row = WebhookEndpointRow
    of_tenant = select(row).where(row.tenant_id == tenant_id)
    page = newest_first(of_tenant, row.created_at, row.id, after=place.after, offset=place.offset, limit=limit + 1)
    return slice_of(of_tenant, page, limit=limit)
