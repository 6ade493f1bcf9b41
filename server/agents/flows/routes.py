"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.agents.flows.schemas import (
    DefinitionBody,
    FlowBody,
    FlowChange,
    FlowDeleted,
    FlowPage,
    FlowQuery,
    FlowsQuery,
    FlowView,
    NodeTypes,
    PublishBody,
    RollbackBody,
    Validated,
    VersionPage,
    VersionsQuery,
)
from server.auth.principal import AgentReader, AgentWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.agents.flows.service import FlowService

flows = Operations("agents", "/api/v1/agents")


def _flows(request: Request) -> "FlowService":
    service: FlowService = request.app.ctx.parts.flows
    return service


def _shown(shown: tuple[FlowView, int], *, status: int = 200) -> HTTPResponse:
    view, version = shown
    return answered(view, status=status, headers={"etag": etag_of(version)})


@flows.operation("GET", "/node-types", answers={200: NodeTypes})
async def list_node_types(request: Request, owner: AgentReader) -> HTTPResponse:
    """List the types of nodes: what each does, and the JSON Schema of its configuration."""
    return answered(_flows(request).node_types())


@flows.operation("POST", "/flows", answers={201: FlowView})
async def create_flow(request: Request, owner: AgentWriter, body: FlowBody) -> HTTPResponse:
    """Make a flow. If it cannot be executed, the answer has every fault with its JSON pointer."""
    return _shown((await _flows(request).create(owner, body), 1), status=201)


@flows.operation("GET", "/flows", answers={200: FlowPage})
async def list_flows(request: Request, owner: AgentReader, query: FlowsQuery) -> HTTPResponse:
    """List the flows, newest first."""
    return answered(await _flows(request).page(owner, query))


@flows.operation("POST", "/flows/validate", answers={200: Validated})
async def validate_flow(request: Request, owner: AgentReader, body: DefinitionBody) -> HTTPResponse:
    """Check nodes and edges, and keep nothing.

    The answer has every fault at once, those that only publishing would tell included: secrets, collections and flows
    that are not there.
    """
    return answered(await _flows(request).validate(owner, body))


@flows.operation("GET", "/flows/{flow_id}", answers={200: FlowView}, errors=[ResourceNotFound])
async def get_flow(request: Request, owner: AgentReader, flow_id: str, query: FlowQuery) -> HTTPResponse:
    """Show a flow, with what its newest version does or the version that is asked for."""
    return _shown(await _flows(request).get(owner, flow_id, query.version))


@flows.operation(
    "PATCH",
    "/flows/{flow_id}",
    answers={200: FlowView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def change_flow(request: Request, owner: AgentWriter, flow_id: str, body: FlowChange) -> HTTPResponse:
    """Change a flow. Other nodes or edges make another version, which is executed once it is published."""
    return _shown(await _flows(request).change(owner, flow_id, body, expected=expected_tags(request)))


@flows.operation(
    "DELETE",
    "/flows/{flow_id}",
    answers={200: FlowDeleted},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def delete_flow(request: Request, owner: AgentWriter, flow_id: str) -> HTTPResponse:
    """Delete a flow with its versions and schedules. Its executions can still be read."""
    return answered(await _flows(request).delete(owner, flow_id, expected=expected_tags(request)))


@flows.operation("GET", "/flows/{flow_id}/versions", answers={200: VersionPage}, errors=[ResourceNotFound])
async def list_flow_versions(request: Request, owner: AgentReader, flow_id: str, query: VersionsQuery) -> HTTPResponse:
    """List the versions of a flow, newest first."""
    return answered(await _flows(request).versions(owner, flow_id, query))


@flows.operation(
    "POST",
    "/flows/{flow_id}/publish",
    answers={200: FlowView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def publish_flow(request: Request, owner: AgentWriter, flow_id: str, body: PublishBody) -> HTTPResponse:
    """Have a version executed when nobody names one. What it needs must be there; 409 tells all that is not."""
    return _shown(await _flows(request).publish(owner, flow_id, body.version, expected=expected_tags(request)))


@flows.operation(
    "POST",
    "/flows/{flow_id}/rollback",
    answers={200: FlowView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def roll_back_flow(request: Request, owner: AgentWriter, flow_id: str, body: RollbackBody) -> HTTPResponse:
    """Have a version executed again that was published before the one that is."""
    return _shown(await _flows(request).roll_back(owner, flow_id, body.version, expected=expected_tags(request)))
