"""What became of deliveries, and deliveries made again: never faster than was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from core.ids import IdSource, is_uuid
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.webhooks.deliveries.repository import DeliveryRepository, EventRange, page_of
from server.webhooks.deliveries.schemas import (
    MOST_AT_ONCE,
    DeliveriesQuery,
    DeliveryDetail,
    DeliveryPage,
    DeliveryView,
    ReplayBody,
    ReplayStarted,
)
from server.webhooks.message import body_of
from stores.audit import AuditLog
from stores.redis import Bell
from stores.sql.engine import Database
from stores.sql.models import DeliveryState, OutboxRow, WebhookDeliveryRow, WebhookEndpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as it was told, or would have been."""

    event_id: str
    event_type: str
    subject: str | None
    body: str

    @classmethod
    def of(cls, event: OutboxRow) -> "Told":
        body = body_of(event.id, event.type, event.created_at, event.payload)
        return cls(event_id=event.id, event_type=event.type, subject=event.subject, body=body)

    @classmethod
    def again(cls, delivery: WebhookDeliveryRow) -> "Told":
        return cls(
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            subject=delivery.subject,
            body=delivery.body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryService:
    """One a process. `bell` wakes the dispatcher."""

    database: Database
    bell: Bell
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    cursors: Cursors

    async def page(self, owner: Principal, endpoint_id: str, query: DeliveriesQuery) -> DeliveryPage:
        """Raises ResourceNotFound, as does every method."""
        async with self.database.reading() as session:
            await _endpoint(DeliveryRepository(session, owner.tenant_id), endpoint_id)
        scope = {"tenant_id": owner.tenant_id, "listing": f"webhook-deliveries:{endpoint_id}"}
        place = self.cursors.place(query, **scope)
        read = page_of(
            owner.tenant_id,
            endpoint_id,
            state=query.state,
            event_type=query.event_type,
            place=place,
            limit=query.limit,
        )
        found = await self.database.read(read)
        last = found.rows[-1] if found.more else None
        return DeliveryPage(
            items=[DeliveryView.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def get(self, owner: Principal, delivery_id: str) -> DeliveryDetail:
        async with self.database.reading() as session:
            repository = DeliveryRepository(session, owner.tenant_id)
            row = await repository.find(delivery_id) if is_uuid(delivery_id) else None
            if row is None:
                raise ResourceNotFound("webhook_delivery", delivery_id)
            return DeliveryDetail.with_attempts(row, await repository.attempts(delivery_id))

    async def replay(self, owner: Principal, endpoint_id: str, asked: ReplayBody) -> ReplayStarted:
        """Make deliveries again, one after another at the pace that was asked for. Raises Conflict."""
        async with self.database.transaction() as session:
            repository = DeliveryRepository(session, owner.tenant_id)
            endpoint = await _endpoint(repository, endpoint_id, to_replay=True)
            if endpoint.disabled_at is not None:
                raise Conflict("The endpoint is disabled. Enable it first.", disabled_reason=endpoint.disabled_reason)
            told, next_after = await _wanted(repository, endpoint, asked)
            deliveries = await self._copies(repository, endpoint, told, asked.per_second)
            await repository.add(deliveries)
            await self.audit.append(
                session,
                owner.tenant_id,
                actor=owner.subject,
                action="webhook_endpoint.replayed",
                resource_type="webhook_endpoint",
                resource_id=endpoint.id,
                details={"count": len(deliveries)},
            )
        await self.database.when_committed(self.bell.ring)
        last_due_at = deliveries[-1]["available_at"] if deliveries else None
        return ReplayStarted(count=len(deliveries), last_due_at=last_due_at, next_after=next_after)

    async def _copies(
        self, repository: DeliveryRepository, endpoint: WebhookEndpointRow, told: Sequence[Told], per_second: int
    ) -> list[dict[str, Any]]:
        now = self.clock.now()
        made = await repository.copies(endpoint.id, [each.event_id for each in told])
        begins = _after(await repository.last_replay_due(endpoint.id), now, pause=timedelta(seconds=1 / per_second))
        return [
            {
                "id": self.new_id(),
                "tenant_id": endpoint.tenant_id,
                "endpoint_id": endpoint.id,
                "event_id": each.event_id,
                "event_type": each.event_type,
                "copy": made.get(each.event_id, 0) + 1,
                "subject": each.subject if endpoint.ordered else None,
                "body": each.body,
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "fence": 0,
                "available_at": begins + timedelta(seconds=place / per_second),
                "created_at": now,
                "finished_at": None,
            }
            for place, each in enumerate(told)
        ]


def _after(last: datetime | None, now: datetime, *, pause: timedelta) -> datetime:
    """Return when a replay may begin: behind the one before it."""
    return now if last is None else max(now, last + pause)


async def _wanted(
    repository: DeliveryRepository, endpoint: WebhookEndpointRow, asked: ReplayBody
) -> tuple[Sequence[Told], int | None]:
    """Return what is to be told again, and where the range goes on if that is not all."""
    if asked.delivery_id:
        delivery = await repository.find(asked.delivery_id) if is_uuid(asked.delivery_id) else None
        if delivery is None or delivery.endpoint_id != endpoint.id:
            raise ResourceNotFound("webhook_delivery", asked.delivery_id)
        return [Told.again(delivery)], None
    if asked.event_id:
        event = await repository.event(asked.event_id)
        if event is None:
            raise ResourceNotFound("event", asked.event_id)
        return [Told.of(event)], None
    wanted = EventRange(
        after=asked.after,
        before=asked.highest,
        since=asked.since,
        until=asked.until,
        failed_only=asked.failed_only,
    )
    events = await repository.events(endpoint, wanted, MOST_AT_ONCE + 1)
    found = events[:MOST_AT_ONCE]
    return [Told.of(event) for event in found], found[-1].number if len(events) > len(found) else None


async def _endpoint(repository: DeliveryRepository, endpoint_id: str, *, to_replay: bool = False) -> WebhookEndpointRow:
    row = await repository.endpoint(endpoint_id, to_replay=to_replay) if is_uuid(endpoint_id) else None
    if row is None:
        raise ResourceNotFound("webhook_endpoint", endpoint_id)
    return row
