"""Events, for those who would rather ask than be told."""

from dataclasses import dataclass

from core.events import EventType
from server.auth.principal import Principal
from server.webhooks.events.catalogue import description_of, schema_of, whole_example_of
from server.webhooks.events.repository import events_after
from server.webhooks.events.schemas import EventList, EventsQuery, EventTypeList, EventTypeView, EventView
from stores.sql.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class EventService:
    database: Database

    async def after(self, owner: Principal, query: EventsQuery) -> EventList:
        """Return the events that follow `query.after`. An event is here as soon as the dispatcher has numbered it."""
        types = query.types.split(",") if query.types else []
        found = await events_after(self.database, owner.tenant_id, query.after, types=types, limit=query.limit + 1)
        items = [
            EventView(
                id=row.id,
                type=row.type,
                created=int(row.created_at.timestamp()),
                data=row.payload,
                number=row.number or 0,
            )
            for row in found[: query.limit]
        ]
        return EventList(
            items=items,
            next_after=items[-1].number if items else query.after,
            has_more=len(found) > query.limit,
        )


def all_types() -> EventTypeList:
    """Return the catalogue, by name."""
    return EventTypeList(
        items=[
            EventTypeView(
                type=event_type.value,
                description=description_of(event_type),
                json_schema=schema_of(event_type),
                example=whole_example_of(event_type),
            )
            for event_type in sorted(EventType)
        ]
    )
