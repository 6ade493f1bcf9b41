"""Append an event to the transaction that makes it true."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.events import EventType
from core.ids import EventId, TenantId, new_event_id
from stores.sql.models import OutboxRow


class Outbox:
    """Writes rows only; telling them is the dispatcher's work."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def append(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        event_type: EventType,
        payload: Mapping[str, Any],
    ) -> EventId:
        """Add the event to `session`'s transaction: it exists exactly if that transaction commits."""
        event_id = new_event_id()
        session.add(
            OutboxRow(
                id=event_id,
                tenant_id=tenant_id,
                type=event_type.value,
                payload=dict(payload),
                created_at=self._clock.now(),
            )
        )
        return event_id
