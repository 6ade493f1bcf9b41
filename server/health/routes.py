"""Open to everybody: what starts and balances servers has no key."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from server.health.schemas import Health, Readiness, StatusPage
from server.openapi.answers import answered
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.health.service import HealthService

health = Operations("health")


@health.operation("GET", "/health", answers={200: Health}, limited=False)
async def get_health(request: Request) -> HTTPResponse:
    """Say that this process answers."""
    return answered(Health())


@health.operation("GET", "/ready", answers={200: Readiness, 503: Readiness}, limited=False)
async def get_readiness(request: Request) -> HTTPResponse:
    """Say whether every part serves: 200 if all do, 503 and which does not otherwise."""
    service: HealthService = request.app.ctx.parts.health
    readiness = await service.readiness()
    return answered(readiness, status=200 if readiness.status == "ready" else 503)


@health.operation("GET", "/status", answers={200: StatusPage}, limited=False)
async def get_status(request: Request) -> HTTPResponse:
    """Say how each part of the service is, for a status page."""
    service: HealthService = request.app.ctx.parts.health
    return answered(await service.status_page())
