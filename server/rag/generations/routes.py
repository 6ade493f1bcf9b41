"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, ResourceNotFound, ServiceUnavailable
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.generations.schemas import (
    GenerationList,
    GenerationRequest,
    GenerationView,
    PromoteRequest,
    RollbackRequest,
)

if TYPE_CHECKING:
    from server.rag.generations.service import GenerationService

generations = Operations("rag", "/api/v1/rag")


def _generations(request: Request) -> "GenerationService":
    service: GenerationService = request.app.ctx.parts.generations
    return service


@generations.operation(
    "POST",
    "/generations",
    answers={202: GenerationView},
    errors=[ResourceNotFound, Conflict, ServiceUnavailable],
)
async def create_generation(request: Request, owner: RagWriter, body: GenerationRequest) -> HTTPResponse:
    """Build another index of all documents, with another embedder or another way to cut them.

    Questions go on being answered by the active generation. This one is built beside it and kept in step; promote it
    once its state is `ready`.
    """
    return answered(await _generations(request).create(owner, body), status=202)


@generations.operation("GET", "/generations", answers={200: GenerationList})
async def list_generations(request: Request, owner: RagReader) -> HTTPResponse:
    """List the generations of the index, newest first. There are none before the first document."""
    return answered(await _generations(request).newest(owner))


@generations.operation("GET", "/generations/{generation_id}", answers={200: GenerationView}, errors=[ResourceNotFound])
async def get_generation(request: Request, owner: RagReader, generation_id: str) -> HTTPResponse:
    """Show a generation, how far it has come, and how it answered the golden questions."""
    return answered(await _generations(request).one(owner, generation_id))


@generations.operation(
    "POST",
    "/generations/{generation_id}/promote",
    answers={200: GenerationView},
    errors=[ResourceNotFound, Conflict],
)
async def promote_generation(
    request: Request, owner: RagWriter, generation_id: str, body: PromoteRequest
) -> HTTPResponse:
    """Let a generation answer from now on.

    Refused with 409 while it is not in step, if documents are missing from it, or if it answers the golden questions
    worse than the active one; the details have the comparison. `force` does it all the same.
    """
    return answered(await _generations(request).promote(owner, generation_id, body))


@generations.operation(
    "POST", "/generations/rollback", answers={200: GenerationView}, errors=[ResourceNotFound, Conflict]
)
async def roll_back_generation(request: Request, owner: RagWriter, body: RollbackRequest) -> HTTPResponse:
    """Let the generation answer again that did before. It was kept in step, so this takes effect at once."""
    return answered(await _generations(request).rollback(owner, body))


@generations.operation(
    "DELETE",
    "/generations/{generation_id}",
    answers={200: GenerationView},
    errors=[ResourceNotFound, Conflict],
)
async def retire_generation(request: Request, owner: RagWriter, generation_id: str) -> HTTPResponse:
    """Delete a generation that does not answer, with its index. What it was stays listed as `retired`."""
    return answered(await _generations(request).retire(owner, generation_id))
