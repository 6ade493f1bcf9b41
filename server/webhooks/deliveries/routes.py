"""What became of telling an endpoint, and telling it again."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, ResourceNotFound
from server.auth.principal import WebhookReader, WebhookWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.webhooks.deliveries.schemas import (
    DeliveriesQuery,
    DeliveryDetail,
    DeliveryPage,
    ReplayBody,
    ReplayStarted,
)

if TYPE_CHECKING:
    from server.webhooks.deliveries.service import DeliveryService

deliveries = Operations("webhooks", "/api/v1/webhooks")


def _deliveries(request: Request) -> "DeliveryService":
    service: DeliveryService = request.app.ctx.parts.webhook_deliveries
    return service


@deliveries.operation(
    "GET", "/endpoints/{endpoint_id}/deliveries", answers={200: DeliveryPage}, errors=[ResourceNotFound]
)
async def list_webhook_deliveries(
    request: Request, owner: WebhookReader, endpoint_id: str, query: DeliveriesQuery
) -> HTTPResponse:
    """List the deliveries of an endpoint, newest first."""
    return answered(await _deliveries(request).page(owner, endpoint_id, query))


@deliveries.operation("GET", "/deliveries/{delivery_id}", answers={200: DeliveryDetail}, errors=[ResourceNotFound])
async def get_webhook_delivery(request: Request, owner: WebhookReader, delivery_id: str) -> HTTPResponse:
    """Show what was sent, and each attempt with what was answered."""
    return answered(await _deliveries(request).get(owner, delivery_id))


@deliveries.operation(
    "POST",
    "/endpoints/{endpoint_id}/replay",
    answers={202: ReplayStarted},
    errors=[ResourceNotFound, Conflict],
)
async def replay_webhook_events(
    request: Request, owner: WebhookWriter, endpoint_id: str, body: ReplayBody
) -> HTTPResponse:
    """Tell an endpoint again: of one delivery, of one event, or of a range of events.

    The bytes and the id are those of the first time. Events that happened while the endpoint was disabled, or before it
    was made, are in a range, too. A request repeats up to 5000 events, and no more fall due in a second than
    `per_second`, however many requests there are.
    """
    return answered(await _deliveries(request).replay(owner, endpoint_id, body), status=202)
