"""Append an event to the transaction that makes it true."""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.events import EventType
from core.ids import EventId, TenantId, content_id, new_event_id
from stores.redis import Bell
from stores.sql.engine import Writer
from stores.sql.models import OutboxRow

_RINGS = "outbox.rings"


class Outbox:
    """Writes rows only; telling them is the dispatcher's work, which `bell` wakes when they are committed."""

    def __init__(self, clock: Clock, bell: Bell | None = None) -> None:
        self._clock = clock
        self._bell = bell
        self._ringing: set[asyncio.Task[None]] = set()

    def append(
        self,
        session: AsyncSession | Writer,
        tenant_id: TenantId,
        event_type: EventType,
        payload: Mapping[str, Any],
        *,
        subject: str | None = None,
    ) -> EventId:
        """Add the event to `session`'s transaction: it exists exactly if that transaction commits.

        `subject` is what it happened to: where somebody asks for order, events of one subject are told one by one.
        Inside `Database.write` nobody is woken: the dispatcher, who writes so, looks again by itself.
        """
        event_id = new_event_id()
        session.add(
            OutboxRow(
                id=event_id,
                tenant_id=tenant_id,
                type=event_type.value,
                subject=subject,
                payload=dict(payload),
                created_at=self._clock.now(),
            )
        )
        self._ring_after(session)
        return event_id

    async def append_once(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        event_type: EventType,
        payload: Mapping[str, Any],
        *,
        key: str,
        subject: str | None = None,
    ) -> bool:
        """Add the event unless one of this `key` was added for the tenant before; whether it was added."""
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        adding = insert(OutboxRow).values(
            id=f"evt_{content_id('outbox', tenant_id, key)}",
            tenant_id=tenant_id,
            type=event_type.value,
            subject=subject,
            payload=dict(payload),
            created_at=self._clock.now(),
        )
        added = await session.execute(adding.on_conflict_do_nothing(index_elements=["id"]))
        assert isinstance(added, CursorResult)
        self._ring_after(session)
        return added.rowcount == 1

    def _ring_after(self, session: AsyncSession | Writer) -> None:
        if self._bell is not None and isinstance(session, AsyncSession) and not session.info.get(_RINGS):
            session.info[_RINGS] = True
            event.listen(session.sync_session, "after_commit", self._ring, once=True)

    def _ring(self, _session: object) -> None:
        # Beside whoever commits: the news is made, and waiting for Redis would only delay it.
        if self._bell is not None:
            task = asyncio.get_running_loop().create_task(self._bell.ring())
            self._ringing.add(task)
            task.add_done_callback(self._ringing.discard)
