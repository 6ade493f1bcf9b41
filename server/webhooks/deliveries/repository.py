"""Deliveries of one tenant, their attempts, and the events they tell of, in SQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, exists, func, insert, or_, select
from sqlalchemy.orm import Session as Reader
from sqlalchemy.orm import aliased

from core.ids import TenantId
from server.openapi.pagination import Place
from server.webhooks.message import EVERY_TYPE
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import DeliveryState, OutboxRow, WebhookAttemptRow, WebhookDeliveryRow, WebhookEndpointRow
from stores.sql.repository import TenantRepository

_Delivery = WebhookDeliveryRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRange:
    """Bounds of numbers are exclusive; `until` is exclusive, `since` is not."""

    after: int
    before: int | None
    since: datetime | None
    until: datetime | None
    failed_only: bool


class DeliveryRepository(TenantRepository):
    async def endpoint(self, endpoint_id: str, *, to_replay: bool = False) -> WebhookEndpointRow | None:
        """Return the endpoint; `to_replay` holds its row, so that replays of it follow one another."""
        query = self.rows_of(WebhookEndpointRow).where(WebhookEndpointRow.id == endpoint_id)
        return await self._session.scalar(query.with_for_update(key_share=True) if to_replay else query)

    async def find(self, delivery_id: str) -> WebhookDeliveryRow | None:
        return await self._session.scalar(self.rows_of(_Delivery).where(_Delivery.id == delivery_id))

    async def attempts(self, delivery_id: str) -> Sequence[WebhookAttemptRow]:
        query = select(WebhookAttemptRow).where(WebhookAttemptRow.delivery_id == delivery_id)
        return list(await self._session.scalars(query.order_by(WebhookAttemptRow.number)))

    async def event(self, event_id: str) -> OutboxRow | None:
        return await self._session.scalar(self.rows_of(OutboxRow).where(OutboxRow.id == event_id))

    async def events(self, endpoint: WebhookEndpointRow, wanted: EventRange, limit: int) -> Sequence[OutboxRow]:
        """Return the events of a range that the endpoint wants, in their order."""
        query = self.rows_of(OutboxRow).where(OutboxRow.number > wanted.after)
        if EVERY_TYPE not in endpoint.event_types:
            query = query.where(OutboxRow.type.in_(endpoint.event_types))
        if wanted.before is not None:
            query = query.where(OutboxRow.number < wanted.before)
        if wanted.since is not None:
            query = query.where(OutboxRow.created_at >= wanted.since)
        if wanted.until is not None:
            query = query.where(OutboxRow.created_at < wanted.until)
        if wanted.failed_only:
            query = query.where(_has_failed(endpoint.id))
        return list(await self._session.scalars(query.order_by(OutboxRow.number).limit(limit)))

    async def copies(self, endpoint_id: str, event_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the highest copy that there is of each event for this endpoint."""
        found: dict[str, int] = {}
        for first in range(0, len(event_ids), 500):
            among = _Delivery.event_id.in_(event_ids[first : first + 500])
            query = select(_Delivery.event_id, func.max(_Delivery.copy))
            query = query.where(_Delivery.endpoint_id == endpoint_id, among).group_by(_Delivery.event_id)
            found |= dict((await self._session.execute(query)).all())
        return found

    async def last_replay_due(self, endpoint_id: str) -> datetime | None:
        """Return when the last of the replays falls due that were not tried yet."""
        return await self._session.scalar(
            select(func.max(_Delivery.available_at)).where(
                _Delivery.endpoint_id == endpoint_id,
                _Delivery.state == DeliveryState.PENDING.value,
                _Delivery.copy > 0,
                _Delivery.fence == 0,
            )
        )

    async def add(self, deliveries: Sequence[Mapping[str, Any]]) -> None:
        if deliveries:
            await (await self._session.connection()).execute(insert(_Delivery), deliveries)


def page_of(
    tenant_id: TenantId, endpoint_id: str, *, state: str | None, event_type: str | None, place: Place, limit: int
) -> Callable[[Reader], Slice[WebhookDeliveryRow]]:
    """Return what reads one page of an endpoint's deliveries, newest first."""
    matching = select(_Delivery).where(_Delivery.tenant_id == tenant_id, _Delivery.endpoint_id == endpoint_id)
    if state is not None:
        matching = matching.where(_Delivery.state == state)
    if event_type is not None:
        matching = matching.where(_Delivery.event_type == event_type)
    page = newest_first(
        matching, _Delivery.created_at, _Delivery.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(matching, page, limit=limit)


def _has_failed(endpoint_id: str) -> Any:
    """Whether an event failed for good, and no copy of it arrived since or is on its way."""
    return and_(
        OutboxRow.id.in_(_of_endpoint(_Delivery, endpoint_id, DeliveryState.FAILED)),
        ~_exists_otherwise(endpoint_id),
    )


def _of_endpoint(delivery: Any, endpoint_id: str, state: DeliveryState) -> Select[Any]:
    return select(delivery.event_id).where(delivery.endpoint_id == endpoint_id, delivery.state == state.value)


def _exists_otherwise(endpoint_id: str) -> Any:
    other = aliased(_Delivery)
    hopeful = or_(other.state == DeliveryState.PENDING.value, other.state == DeliveryState.SUCCEEDED.value)
    return exists(select(other.id).where(other.endpoint_id == endpoint_id, other.event_id == OutboxRow.id, hopeful))
