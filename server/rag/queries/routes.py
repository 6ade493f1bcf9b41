"""The room's one operation."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import IndexVersionGone, ResourceNotFound, ServiceUnavailable
from server.auth.principal import RagReader
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.queries.schemas import QueryAnswer, QueryRequest

if TYPE_CHECKING:
    from server.rag.queries.service import Answering

queries = Operations("rag", "/api/v1/rag")


def _answering(request: Request) -> "Answering":
    service: Answering = request.app.ctx.parts.answering
    return service


@queries.operation(
    "POST", "/query", answers={200: QueryAnswer}, errors=[ServiceUnavailable, ResourceNotFound, IndexVersionGone]
)
async def query_documents(request: Request, owner: RagReader, body: QueryRequest) -> HTTPResponse:
    """Ask a question of the indexed documents.

    Each result is a chunk with a score in 0..1. Its metadata is what you posted, overlaid with `source`,
    `source_type`, `chunk_id`, `document_id`, `revision`, `page` and `section`; filters look in yours first.
    """
    return answered(await _answering(request).answer(owner, body))
