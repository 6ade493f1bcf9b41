"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict
from server.auth.principal import RagWriter
from server.openapi.answers import answered
from server.openapi.registry import Operations
from server.rag.batches.schemas import IngestBatch, IngestBatchAccepted, IngestLines, Selection, SelectionDone

if TYPE_CHECKING:
    from server.rag.batches.service import BatchService

batches = Operations("rag", "/api/v1/rag")


def _batches(request: Request) -> "BatchService":
    service: BatchService = request.app.ctx.parts.batches
    return service


@batches.operation("POST", "/ingest/batch", answers={202: IngestBatchAccepted}, errors=[Conflict])
async def ingest_batch(request: Request, owner: RagWriter, body: IngestBatch | IngestLines) -> HTTPResponse:
    """Post up to 1,000 texts in one request, each accepted or refused by itself.

    One transaction stores all that are accepted: a retry with the same Idempotency-Key gets the same results.
    """
    return answered(await _batches(request).ingest(owner, body.items), status=202)


@batches.operation("POST", "/documents/delete", answers={202: SelectionDone})
async def delete_documents(request: Request, owner: RagWriter, body: Selection) -> HTTPResponse:
    """Delete documents by their ids or by a filter, with a result for each.

    At most `limit` a call; with a filter `next_after` goes on. `dry_run` says which it would be.
    """
    return answered(await _batches(request).delete(owner, body), status=202)


@batches.operation("POST", "/documents/reprocess", answers={202: SelectionDone})
async def reprocess_documents(request: Request, owner: RagWriter, body: Selection) -> HTTPResponse:
    """Index documents anew by their ids or by a filter, with a result for each.

    Those that are queued or in work are left as they are. At most `limit` a call; with a filter `next_after` goes on.
    """
    return answered(await _batches(request).reprocess(owner, body), status=202)
