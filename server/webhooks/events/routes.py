"""What happened, and what can happen."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from server.auth.principal import WebhookReader
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.webhooks.events.schemas import EventList, EventsQuery, EventTypeList
from server.webhooks.events.service import all_types

if TYPE_CHECKING:
    from server.webhooks.events.service import EventService

events = Operations("events", "/api/v1")
event_types = Operations("webhooks", "/api/v1/webhooks")


@events.operation("GET", "/events", answers={200: EventList})
async def list_events(request: Request, owner: WebhookReader, query: EventsQuery) -> HTTPResponse:
    """List what happened in the tenant, in its order.

    Begin with `after=0` and go on with `next_after`: no event is missed, and none comes twice.
    """
    service: EventService = request.app.ctx.parts.events
    return answered(await service.after(owner, query))


@event_types.operation("GET", "/event-types", answers={200: EventTypeList})
async def list_event_types(_request: Request, owner: WebhookReader) -> HTTPResponse:
    """List the types of events, with the JSON Schema of each one's `data` and an example."""
    return answered(all_types())
