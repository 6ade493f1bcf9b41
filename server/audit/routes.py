"""Who did what in the tenant one acts in."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from server.audit.schemas import AuditPage, AuditQuery
from server.auth.principal import AuditReader
from server.openapi.answers import answered
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.audit.service import AuditTrail

audit = Operations("audit", "/api/v1/audit")


@audit.operation("GET", "/events", answers={200: AuditPage})
async def list_audit_events(request: Request, owner: AuditReader, query: AuditQuery) -> HTTPResponse:
    """List who did what, newest first. Each entry holds the hash of the one before it."""
    trail: AuditTrail = request.app.ctx.parts.audit
    return answered(await trail.page(owner, query))
