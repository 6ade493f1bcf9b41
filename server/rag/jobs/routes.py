"""The room's operations, and how others wait for a job."""

import re
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, ResourceNotFound
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations, RequestHeader
from server.rag.jobs.schemas import JobPage, JobsQuery, JobView

if TYPE_CHECKING:
    from server.rag.jobs.service import JobService

jobs = Operations("rag", "/api/v1/rag/jobs")

LONGEST_WAIT_SECONDS = 60
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,9})\"?(?:$|[,;\s])", re.ASCII | re.IGNORECASE)
PREFER = RequestHeader(
    name="Prefer",
    description=f"`wait=N` waits up to N seconds (at most {LONGEST_WAIT_SECONDS}) for the outcome (RFC 7240).",
)


def wait_seconds_of(request: Request) -> int | None:
    """Return how long the client would wait for the outcome; None if it does not ask for it."""
    wanted = _PREFER_WAIT.search(",".join(request.headers.getall("prefer", [])))
    return None if wanted is None else min(int(wanted.group(1)), LONGEST_WAIT_SECONDS)


def jobs_of(request: Request) -> "JobService":
    service: JobService = request.app.ctx.parts.jobs
    return service


@jobs.operation("GET", "", answers={200: JobPage})
async def list_jobs(request: Request, owner: RagReader, query: JobsQuery) -> HTTPResponse:
    """List jobs, newest first."""
    return answered(await jobs_of(request).page(owner, query))


@jobs.operation("GET", "/{job_id}", answers={200: JobView}, errors=[ResourceNotFound])
async def get_job(request: Request, owner: RagReader, job_id: str) -> HTTPResponse:
    """Show how far a job has come."""
    return answered(await jobs_of(request).job(owner, job_id))


@jobs.operation("POST", "/{job_id}/cancel", answers={200: JobView}, errors=[ResourceNotFound, Conflict])
async def cancel_job(request: Request, owner: RagWriter, job_id: str) -> HTTPResponse:
    """Call off a job that is still queued.

    A document that was indexed before is as it was. One that was not has failed, and can be reprocessed.
    """
    return answered(await jobs_of(request).cancel(owner, job_id))
