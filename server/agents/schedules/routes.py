"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.agents.schedules.schemas import (
    RunPage,
    RunsQuery,
    ScheduleBody,
    ScheduleChange,
    ScheduleDeleted,
    SchedulePage,
    SchedulesQuery,
    ScheduleView,
)
from server.auth.principal import AgentReader, AgentWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.agents.schedules.service import ScheduleService

schedules = Operations("agents", "/api/v1/agents")

_ALL, _ONE = "/flows/{flow_id}/schedules", "/flows/{flow_id}/schedules/{schedule_id}"


def _schedules(request: Request) -> "ScheduleService":
    service: ScheduleService = request.app.ctx.parts.schedules
    return service


def _shown(view: ScheduleView, *, status: int = 200) -> HTTPResponse:
    return answered(view, status=status, headers={"etag": etag_of(view.version)})


@schedules.operation("POST", _ALL, answers={201: ScheduleView}, errors=[ResourceNotFound, Conflict])
async def create_schedule(request: Request, owner: AgentWriter, flow_id: str, body: ScheduleBody) -> HTTPResponse:
    """Have a flow executed at certain times, each time once.

    After an absence of the whole system the flow is executed once for all the times that were missed.
    """
    return _shown(await _schedules(request).create(owner, flow_id, body), status=201)


@schedules.operation("GET", _ALL, answers={200: SchedulePage}, errors=[ResourceNotFound])
async def list_schedules(request: Request, owner: AgentReader, flow_id: str, query: SchedulesQuery) -> HTTPResponse:
    """List the schedules of a flow, newest first."""
    return answered(await _schedules(request).page(owner, flow_id, query))


@schedules.operation("GET", _ONE, answers={200: ScheduleView}, errors=[ResourceNotFound])
async def get_schedule(request: Request, owner: AgentReader, flow_id: str, schedule_id: str) -> HTTPResponse:
    """Show a schedule, when it is due next, and what the flow will lack by then."""
    return _shown(await _schedules(request).get(owner, flow_id, schedule_id))


@schedules.operation(
    "PATCH",
    _ONE,
    answers={200: ScheduleView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def change_schedule(
    request: Request, owner: AgentWriter, flow_id: str, schedule_id: str, body: ScheduleChange
) -> HTTPResponse:
    """Change or pause a schedule. What was missed while it was paused is not made up for."""
    service = _schedules(request)
    return _shown(await service.change(owner, flow_id, schedule_id, body, expected=expected_tags(request)))


@schedules.operation("DELETE", _ONE, answers={200: ScheduleDeleted}, errors=[ResourceNotFound])
async def delete_schedule(request: Request, owner: AgentWriter, flow_id: str, schedule_id: str) -> HTTPResponse:
    """Delete a schedule. What it has begun goes on."""
    return answered(await _schedules(request).delete(owner, flow_id, schedule_id))


@schedules.operation("GET", f"{_ONE}/runs", answers={200: RunPage}, errors=[ResourceNotFound])
async def list_schedule_runs(
    request: Request, owner: AgentReader, flow_id: str, schedule_id: str, query: RunsQuery
) -> HTTPResponse:
    """List what became of the times that the schedule was due, the last first, for thirty days."""
    return answered(await _schedules(request).runs(owner, flow_id, schedule_id, query))
