"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, IndexVersionGone, ResourceNotFound, ServiceUnavailable
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.index_tags.schemas import TagDeleted, TagList, TagRequest, TagView

if TYPE_CHECKING:
    from server.rag.index_tags.service import TagService

index_tags = Operations("rag", "/api/v1/rag")


def _tags(request: Request) -> "TagService":
    service: TagService = request.app.ctx.parts.index_tags
    return service


@index_tags.operation(
    "POST",
    "/index/tags",
    answers={201: TagView},
    errors=[Conflict, ResourceNotFound, IndexVersionGone, ServiceUnavailable],
)
async def create_index_tag(request: Request, owner: RagWriter, body: TagRequest) -> HTTPResponse:
    """Keep a version of the index under a name, to ask it again with `as_of` at any time.

    It is kept, with every later version of its generation, until the tag is deleted. That costs disk space, and keeps
    the text of documents that are deleted later on the disk, though no answer shows it.
    """
    return answered(await _tags(request).create(owner, body), status=201)


@index_tags.operation("GET", "/index/tags", answers={200: TagList})
async def list_index_tags(request: Request, owner: RagReader) -> HTTPResponse:
    """List the tags by name."""
    return answered(await _tags(request).all(owner))


@index_tags.operation("DELETE", "/index/tags/{name}", answers={200: TagDeleted}, errors=[ResourceNotFound])
async def delete_index_tag(request: Request, owner: RagWriter, name: str) -> HTTPResponse:
    """Delete a tag. Its version is kept for as long as any other of its age."""
    return answered(await _tags(request).delete(owner, name))
