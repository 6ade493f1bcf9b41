"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, ResourceNotFound
from server.agents.executions.following.routes import follow
from server.agents.executions.schemas import (
    ExecuteBody,
    ExecutionPage,
    ExecutionsQuery,
    ExecutionView,
    ForkBody,
    RespondBody,
    ResumeBody,
    SignalBody,
    Signalled,
    StepPage,
    StepsQuery,
    micros_of,
)
from server.auth.principal import AgentExecutor, AgentReader
from server.openapi.answers import answered, settled, settled_stream, told_again
from server.openapi.registry import Operations

if TYPE_CHECKING:
    from server.agents.executions.service import ExecutionService

executions = Operations("agents", "/api/v1/agents")

# The server's deadline of mode `wait`: then the answer is 202, and the execution goes on.
LONGEST_WAIT_SECONDS = 30.0


def executions_of(request: Request) -> "ExecutionService":
    service: ExecutionService = request.app.ctx.parts.executions
    return service


@executions.operation(
    "POST",
    "/execute",
    answers={200: ExecutionView, 202: ExecutionView},
    errors=[ResourceNotFound, Conflict],
    streams=True,
)
async def execute_flow(request: Request, owner: AgentExecutor, body: ExecuteBody) -> HTTPResponse | None:
    """Execute a flow.

    With `mode` wait the answer is 200 once the execution is over, however it ended: `status` tells. If that takes
    longer than 30 seconds the answer is 202 and the execution goes on, as with `mode` background: follow `Location`.
    With `mode` stream the answer is what the execution tells, as `GET /agents/executions/{execution_id}/events` has
    it. The same Idempotency-Key again tells it again, from the first event on.
    """
    from server.agents.executions.service import NewExecution

    service = executions_of(request)
    if (streaming := told_again(request)) is not None:
        await follow(request, owner.tenant_id, streaming)
        return None
    view = await service.start(
        owner,
        NewExecution(
            flow_id=body.flow_id,
            input=body.input,
            context=body.context,
            version=body.version,
            mode=body.mode,
            max_cost_micros=micros_of(body.max_cost),
            deadline_seconds=body.deadline_seconds,
            on_budget=body.on_budget,
        ),
    )
    if body.mode == "background":
        return _accepted(view)
    if body.mode == "stream":
        await settled_stream(request, _accepted(view), told=view.execution_id)
        await follow(request, owner.tenant_id, view.execution_id)
        return None
    await settled(request, _accepted(view))
    view = await service.wait(owner, view.execution_id, LONGEST_WAIT_SECONDS)
    return answered(view) if view.is_over else _accepted(view)


def _accepted(view: ExecutionView) -> HTTPResponse:
    return answered(view, status=202, headers={"location": f"/api/v1/agents/executions/{view.execution_id}"})


@executions.operation("GET", "/executions", answers={200: ExecutionPage})
async def list_executions(request: Request, owner: AgentReader, query: ExecutionsQuery) -> HTTPResponse:
    """List executions, newest first."""
    return answered(await executions_of(request).page(owner, query))


@executions.operation("GET", "/executions/{execution_id}", answers={200: ExecutionView}, errors=[ResourceNotFound])
async def get_execution(request: Request, owner: AgentReader, execution_id: str) -> HTTPResponse:
    """Show how an execution stands, what it waits for, and its result."""
    return answered(await executions_of(request).get(owner, execution_id))


@executions.operation("GET", "/executions/{execution_id}/steps", answers={200: StepPage}, errors=[ResourceNotFound])
async def list_steps(request: Request, owner: AgentReader, execution_id: str, query: StepsQuery) -> HTTPResponse:
    """List the steps of an execution in the order in which they began, one for each attempt at a node."""
    return answered(await executions_of(request).steps(owner, execution_id, query))


@executions.operation(
    "POST", "/executions/{execution_id}/cancel", answers={200: ExecutionView}, errors=[ResourceNotFound, Conflict]
)
async def cancel_execution(request: Request, owner: AgentExecutor, execution_id: str) -> HTTPResponse:
    """Call an execution off. One that runs has stopped within two seconds; no node begins after that."""
    return answered(await executions_of(request).cancel(owner, execution_id))


@executions.operation(
    "POST", "/executions/{execution_id}/resume", answers={202: ExecutionView}, errors=[ResourceNotFound, Conflict]
)
async def resume_execution(request: Request, owner: AgentExecutor, execution_id: str, body: ResumeBody) -> HTTPResponse:
    """Go on with an execution that failed, from the node that failed, or that has paused for its budget."""
    return _accepted(await executions_of(request).resume(owner, execution_id, body))


@executions.operation(
    "POST", "/executions/{execution_id}/fork", answers={202: ExecutionView}, errors=[ResourceNotFound, Conflict]
)
async def fork_execution(request: Request, owner: AgentExecutor, execution_id: str, body: ForkBody) -> HTTPResponse:
    """Execute anew what a change leads to, and reuse the rest. `fork` of the answer tells what was saved."""
    return _accepted(await executions_of(request).fork(owner, execution_id, body))


@executions.operation(
    "POST", "/executions/{execution_id}/signal", answers={202: Signalled}, errors=[ResourceNotFound, Conflict]
)
async def signal_execution(request: Request, owner: AgentExecutor, execution_id: str, body: SignalBody) -> HTTPResponse:
    """Send a signal to a node that waits for it, or will."""
    return answered(await executions_of(request).signal(owner, execution_id, body.name, body.payload), status=202)


@executions.operation(
    "POST", "/executions/{execution_id}/respond", answers={202: ExecutionView}, errors=[ResourceNotFound, Conflict]
)
async def respond_to_execution(
    request: Request, owner: AgentExecutor, execution_id: str, body: RespondBody
) -> HTTPResponse:
    """Answer a node that waits for a person."""
    return _accepted(await executions_of(request).respond(owner, execution_id, body.path, body.answer))
