"""The room's operations. Each reads what it is handed, calls once, and answers."""

import re
from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, ResourceNotFound
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered, settled
from server.openapi.registry import Operations, RequestHeader
from server.rag.documents.schemas import (
    ChunkPage,
    ChunksQuery,
    DocumentDeleted,
    DocumentPage,
    DocumentsQuery,
    DocumentView,
    IngestAccepted,
    IngestFinished,
    IngestForm,
    IngestText,
    JobView,
)

if TYPE_CHECKING:
    from server.rag.documents.chunks import StoredChunks
    from server.rag.documents.service import DocumentService

documents = Operations("rag", "/api/v1/rag")

LONGEST_WAIT_SECONDS = 60
_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,9})\"?(?:$|[,;\s])", re.ASCII | re.IGNORECASE)
_PREFER = RequestHeader(
    name="Prefer",
    description=f"`wait=N` waits up to N seconds (at most {LONGEST_WAIT_SECONDS}) for the outcome (RFC 7240).",
)


def _documents(request: Request) -> "DocumentService":
    service: DocumentService = request.app.ctx.parts.documents
    return service


def _chunks(request: Request) -> "StoredChunks":
    service: StoredChunks = request.app.ctx.parts.chunks
    return service


@documents.operation(
    "POST", "/ingest", answers={202: IngestAccepted, 200: IngestFinished}, errors=[Conflict], headers=[_PREFER]
)
async def ingest(request: Request, owner: RagWriter, body: IngestText | IngestForm) -> HTTPResponse:
    """Post a document, or the next revision of one.

    The answer comes before the work: 202 with the job to follow. With `Prefer: wait=N` it is 200 once the
    document is indexed or has failed, and 202 if that takes longer.
    """
    accepted = await _documents(request).accept(owner, body)
    return await _after_waiting(request, owner, accepted)


@documents.operation("GET", "/documents", answers={200: DocumentPage})
async def list_documents(request: Request, owner: RagReader, query: DocumentsQuery) -> HTTPResponse:
    """List documents, newest first."""
    return answered(await _documents(request).page(owner, query))


@documents.operation("GET", "/documents/{document_id}", answers={200: DocumentView}, errors=[ResourceNotFound])
async def get_document(request: Request, owner: RagReader, document_id: str) -> HTTPResponse:
    """Show a document. A deleted one is not found here; the list shows it with `status=deleted`."""
    return answered(await _documents(request).document(owner, document_id))


@documents.operation("GET", "/documents/{document_id}/chunks", answers={200: ChunkPage}, errors=[ResourceNotFound])
async def list_chunks(request: Request, owner: RagReader, document_id: str, query: ChunksQuery) -> HTTPResponse:
    """List the chunks of the revision that answers, in reading order."""
    document = await _documents(request).document(owner, document_id)
    return answered(await _chunks(request).page(owner, document, query))


@documents.operation("DELETE", "/documents/{document_id}", answers={202: DocumentDeleted}, errors=[ResourceNotFound])
async def delete_document(request: Request, owner: RagWriter, document_id: str) -> HTTPResponse:
    """Delete a document. From this answer on no query returns it; a job clears it out of the index."""
    return answered(await _documents(request).delete(owner, document_id), status=202)


@documents.operation(
    "POST",
    "/documents/{document_id}/reprocess",
    answers={202: IngestAccepted, 200: IngestFinished},
    errors=[ResourceNotFound, Conflict],
    headers=[_PREFER],
)
async def reprocess_document(request: Request, owner: RagWriter, document_id: str) -> HTTPResponse:
    """Index an indexed or failed document anew, from the bytes as they were posted."""
    accepted = await _documents(request).reprocess(owner, document_id)
    return await _after_waiting(request, owner, accepted)


@documents.operation("GET", "/jobs/{job_id}", answers={200: JobView}, errors=[ResourceNotFound])
async def get_job(request: Request, owner: RagReader, job_id: str) -> HTTPResponse:
    """Show how far a job has come."""
    return answered(await _documents(request).job(owner, job_id))


async def _after_waiting(request: Request, owner: RagWriter, accepted: IngestAccepted) -> HTTPResponse:
    wanted = _PREFER_WAIT.search(",".join(request.headers.getall("prefer", [])))
    if wanted is None:
        return answered(accepted, status=202)
    await settled(request, answered(accepted, status=202))  # the worker sees the job only after the commit
    wait_seconds = min(int(wanted.group(1)), LONGEST_WAIT_SECONDS)
    outcome = await _documents(request).outcome(owner, accepted, wait_seconds=wait_seconds)
    finished = outcome.status not in ("queued", "processing")
    return answered(outcome, status=200 if finished else 202, headers={"preference-applied": f"wait={wait_seconds}"})
