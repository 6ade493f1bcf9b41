"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations
from server.rag.golden_sets.schemas import GoldenSetBody, GoldenSetDeleted, GoldenSetList, GoldenSetView

if TYPE_CHECKING:
    from server.rag.golden_sets.service import GoldenSetService

golden_sets = Operations("rag", "/api/v1/rag")


def _sets(request: Request) -> "GoldenSetService":
    service: GoldenSetService = request.app.ctx.parts.golden_sets
    return service


def _tagged(view: GoldenSetView, *, status: int = 200) -> HTTPResponse:
    return answered(view, status=status, headers={"etag": etag_of(view.version)})


@golden_sets.operation("POST", "/golden-sets", answers={201: GoldenSetView}, errors=[Conflict])
async def create_golden_set(request: Request, owner: RagWriter, body: GoldenSetBody) -> HTTPResponse:
    """Keep questions with the documents that answer them.

    A new generation of the index is measured by all golden sets, and not promoted if it finds less than the active
    one does.
    """
    return _tagged(await _sets(request).create(owner, body), status=201)


@golden_sets.operation("GET", "/golden-sets", answers={200: GoldenSetList})
async def list_golden_sets(request: Request, owner: RagReader) -> HTTPResponse:
    """List the golden sets by name, without their questions."""
    return answered(await _sets(request).all(owner))


@golden_sets.operation("GET", "/golden-sets/{golden_set_id}", answers={200: GoldenSetView}, errors=[ResourceNotFound])
async def get_golden_set(request: Request, owner: RagReader, golden_set_id: str) -> HTTPResponse:
    """Show a golden set."""
    return _tagged(await _sets(request).one(owner, golden_set_id))


@golden_sets.operation(
    "PUT",
    "/golden-sets/{golden_set_id}",
    answers={200: GoldenSetView},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH],
)
async def replace_golden_set(
    request: Request, owner: RagWriter, golden_set_id: str, body: GoldenSetBody
) -> HTTPResponse:
    """Replace a golden set. Generations are measured anew."""
    return _tagged(await _sets(request).replace(owner, golden_set_id, body, expected_tags(request)))


@golden_sets.operation(
    "DELETE", "/golden-sets/{golden_set_id}", answers={200: GoldenSetDeleted}, errors=[ResourceNotFound]
)
async def delete_golden_set(request: Request, owner: RagWriter, golden_set_id: str) -> HTTPResponse:
    """Delete a golden set."""
    return answered(await _sets(request).delete(owner, golden_set_id))
