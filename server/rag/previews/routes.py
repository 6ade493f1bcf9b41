"""The room's operation."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from server.auth.principal import RagWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.documents.schemas import IngestForm, IngestText
from server.rag.previews.schemas import Preview

if TYPE_CHECKING:
    from server.rag.previews.service import Previews

previews = Operations("rag", "/api/v1/rag")


@previews.operation("POST", "/preview", answers={200: Preview})
async def preview(request: Request, owner: RagWriter, body: IngestText | IngestForm) -> HTTPResponse:
    """Show what a document would become, chunks and token counts, before it is posted.

    The body is that of `POST /rag/ingest`. Nothing is stored and nothing embedded; a file that would fail says why.
    """
    service: Previews = request.app.ctx.parts.previews
    return answered(await service.of(owner, body))
