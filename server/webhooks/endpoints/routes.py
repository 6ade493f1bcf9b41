"""Who is told of events, and how."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, EgressBlocked, PreconditionFailed, ResourceNotFound
from server.auth.principal import WebhookReader, WebhookWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations
from server.webhooks.endpoints.schemas import (
    EndpointBody,
    EndpointChange,
    EndpointDeleted,
    EndpointMade,
    EndpointPage,
    EndpointsQuery,
    EndpointView,
    TestBody,
    TestSent,
)

if TYPE_CHECKING:
    from server.webhooks.endpoints.service import EndpointService

endpoints = Operations("webhooks", "/api/v1/webhooks/endpoints")

# A secret is shown once; no cache keeps it.
_UNKEPT = {"cache-control": "no-store"}


def _endpoints(request: Request) -> "EndpointService":
    service: EndpointService = request.app.ctx.parts.webhook_endpoints
    return service


def _shown(view: EndpointView) -> HTTPResponse:
    return answered(view, headers={"etag": etag_of(view.version)})


def _shown_once(made: EndpointMade) -> HTTPResponse:
    return answered(made, status=201, headers=_UNKEPT | {"etag": etag_of(made.version)})


@endpoints.operation("POST", "", answers={201: EndpointMade}, errors=[EgressBlocked])
async def create_webhook_endpoint(request: Request, owner: WebhookWriter, body: EndpointBody) -> HTTPResponse:
    """Have events told to a URL. The answer holds the secret that signs them: it is not shown again."""
    return _shown_once(await _endpoints(request).create(owner, body))


@endpoints.operation("GET", "", answers={200: EndpointPage})
async def list_webhook_endpoints(request: Request, owner: WebhookReader, query: EndpointsQuery) -> HTTPResponse:
    """List the endpoints, newest first."""
    return answered(await _endpoints(request).page(owner, query))


@endpoints.operation("GET", "/{endpoint_id}", answers={200: EndpointView}, errors=[ResourceNotFound])
async def get_webhook_endpoint(request: Request, owner: WebhookReader, endpoint_id: str) -> HTTPResponse:
    """Show an endpoint, without its secret, and of its headers the names."""
    return _shown(await _endpoints(request).get(owner, endpoint_id))


@endpoints.operation(
    "PATCH",
    "/{endpoint_id}",
    answers={200: EndpointView},
    errors=[ResourceNotFound, PreconditionFailed, EgressBlocked],
    headers=[IF_MATCH],
)
async def change_webhook_endpoint(
    request: Request, owner: WebhookWriter, endpoint_id: str, body: EndpointChange
) -> HTTPResponse:
    """Change the URL, what is told, or how."""
    return _shown(await _endpoints(request).change(owner, endpoint_id, body, expected=expected_tags(request)))


@endpoints.operation("DELETE", "/{endpoint_id}", answers={200: EndpointDeleted}, errors=[ResourceNotFound])
async def delete_webhook_endpoint(request: Request, owner: WebhookWriter, endpoint_id: str) -> HTTPResponse:
    """Delete an endpoint, with its deliveries."""
    return answered(await _endpoints(request).delete(owner, endpoint_id))


@endpoints.operation("POST", "/{endpoint_id}/enable", answers={200: EndpointView}, errors=[ResourceNotFound])
async def enable_webhook_endpoint(request: Request, owner: WebhookWriter, endpoint_id: str) -> HTTPResponse:
    """Tell an endpoint of events again.

    What waited for it is sent. Events that happened while it was disabled are not, unless they are replayed.
    """
    return _shown(await _endpoints(request).enable(owner, endpoint_id))


@endpoints.operation("POST", "/{endpoint_id}/disable", answers={200: EndpointView}, errors=[ResourceNotFound])
async def disable_webhook_endpoint(request: Request, owner: WebhookWriter, endpoint_id: str) -> HTTPResponse:
    """Tell an endpoint of nothing until it is enabled."""
    return _shown(await _endpoints(request).disable(owner, endpoint_id))


@endpoints.operation("POST", "/{endpoint_id}/secret/rotate", answers={201: EndpointMade}, errors=[ResourceNotFound])
async def rotate_webhook_secret(request: Request, owner: WebhookWriter, endpoint_id: str) -> HTTPResponse:
    """Make a new secret, shown this once. The old one signs as well for 24 hours."""
    return _shown_once(await _endpoints(request).rotate(owner, endpoint_id))


@endpoints.operation("POST", "/{endpoint_id}/test", answers={202: TestSent}, errors=[ResourceNotFound, Conflict])
async def send_webhook_test(request: Request, owner: WebhookWriter, endpoint_id: str, body: TestBody) -> HTTPResponse:
    """Send an example of an event to this endpoint, signed as an event is. Its id begins with `evt_test_`."""
    return answered(await _endpoints(request).test(owner, endpoint_id, body), status=202)
