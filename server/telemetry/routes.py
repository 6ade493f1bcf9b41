"""`/metrics`, for the operator's Prometheus: no part of the published API."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.telemetry.service import Telemetry

telemetry = Operations("telemetry")


@telemetry.operation("GET", "/metrics", answers={}, limited=False)
async def get_metrics(request: Request) -> HTTPResponse:
    """Show the numbers of all processes that serve this API."""
    service: Telemetry = request.app.ctx.parts.telemetry
    return HTTPResponse(await service.exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")
