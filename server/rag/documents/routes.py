"""The room's operations. Each reads what it is handed, calls once, and answers."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered, settled
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations
from server.rag.documents.schemas import (
    ChunksQuery,
    CollectionsQuery,
    DocumentChange,
    DocumentsQuery,
    IngestForm,
    IngestText,
    RevisionsQuery,
)
from server.rag.documents.views import (
    ChunkPage,
    CollectionPage,
    DocumentChanged,
    DocumentDeleted,
    DocumentPage,
    DocumentView,
    IngestAccepted,
    IngestFinished,
    RevisionPage,
    status_after,
)
from server.rag.jobs.routes import PREFER, jobs_of, wait_seconds_of

if TYPE_CHECKING:
    from server.rag.documents.chunks import StoredChunks
    from server.rag.documents.service import DocumentService

documents = Operations("rag", "/api/v1/rag")


def _documents(request: Request) -> "DocumentService":
    service: DocumentService = request.app.ctx.parts.documents
    return service


def _chunks(request: Request) -> "StoredChunks":
    service: StoredChunks = request.app.ctx.parts.chunks
    return service


@documents.operation(
    "POST", "/ingest", answers={202: IngestAccepted, 200: IngestFinished}, errors=[Conflict], headers=[PREFER]
)
async def ingest(request: Request, owner: RagWriter, body: IngestText | IngestForm) -> HTTPResponse:
    """Post a document, or the next revision of one.

    The answer comes before the work: 202 with the job to follow. With `Prefer: wait=N` it is 200 once the
    document is indexed or has failed, and 202 if that takes longer.
    """
    accepted = await _documents(request).accept(owner, body)
    return await after_waiting(request, owner, accepted)


@documents.operation("GET", "/documents", answers={200: DocumentPage})
async def list_documents(request: Request, owner: RagReader, query: DocumentsQuery) -> HTTPResponse:
    """List documents, newest first."""
    return answered(await _documents(request).page(owner, query))


@documents.operation("GET", "/documents/{document_id}", answers={200: DocumentView}, errors=[ResourceNotFound])
async def get_document(request: Request, owner: RagReader, document_id: str) -> HTTPResponse:
    """Show a document. A deleted one is not found here; the list shows it with `status=deleted`."""
    document = await _documents(request).document(owner, document_id)
    return answered(document, headers={"etag": etag_of(document.revision)})


@documents.operation(
    "PATCH",
    "/documents/{document_id}",
    answers={202: DocumentChanged, 200: DocumentChanged},
    errors=[ResourceNotFound, Conflict, PreconditionFailed],
    headers=[IF_MATCH, PREFER],
)
async def change_document(request: Request, owner: RagWriter, document_id: str, body: DocumentChange) -> HTTPResponse:
    """Describe a document anew, or put it into another collection.

    Every change is a revision, and the one before answers until the new one is indexed: 202 with the job to follow,
    200 if nothing is different. Nothing is embedded again.
    """
    service = _documents(request)
    changed = await service.change(owner, document_id, body, expected=expected_tags(request))
    tag, wait_seconds = {"etag": etag_of(changed.document.revision)}, wait_seconds_of(request)
    if changed.job_id is None:
        return answered(changed, headers=tag)
    if wait_seconds is None:
        return answered(changed, status=202, headers=tag)
    await settled(request, answered(changed, status=202, headers=tag))
    job = await jobs_of(request).outcome(owner, changed.job_id, wait_seconds=wait_seconds)
    if not job.is_over:
        return answered(changed, status=202, headers=tag | {"preference-applied": f"wait={wait_seconds}"})
    done = DocumentChanged(document=await service.document(owner, document_id), job_id=changed.job_id)
    return answered(done, headers=tag | {"preference-applied": f"wait={wait_seconds}"})


@documents.operation(
    "GET", "/documents/{document_id}/revisions", answers={200: RevisionPage}, errors=[ResourceNotFound]
)
async def list_revisions(request: Request, owner: RagReader, document_id: str, query: RevisionsQuery) -> HTTPResponse:
    """List what each revision was made of, the newest first."""
    return answered(await _documents(request).revisions(owner, document_id, query))


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
    headers=[PREFER],
)
async def reprocess_document(request: Request, owner: RagWriter, document_id: str) -> HTTPResponse:
    """Index an indexed or failed document anew, from the bytes as they were posted."""
    accepted = await _documents(request).reprocess(owner, document_id)
    return await after_waiting(request, owner, accepted)


@documents.operation("GET", "/collections", answers={200: CollectionPage})
async def list_collections(request: Request, owner: RagReader, query: CollectionsQuery) -> HTTPResponse:
    """List collections in order of their names, with what is in them."""
    return answered(await _documents(request).collections(owner, query))


async def after_waiting(request: Request, owner: RagWriter, accepted: IngestAccepted) -> HTTPResponse:
    """Answer that the job is posted or, where the client would rather wait, what came of it."""
    wait_seconds = wait_seconds_of(request)
    if wait_seconds is None:
        return answered(accepted, status=202)
    await settled(request, answered(accepted, status=202))  # the worker sees the job only after the commit
    job = await jobs_of(request).outcome(owner, accepted.job_id, wait_seconds=wait_seconds)
    outcome: IngestAccepted = accepted.model_copy(update={"status": status_after(job)})
    if job.is_over:
        outcome = IngestFinished(**outcome.model_dump(), error=job.error)
    return answered(outcome, status=200 if job.is_over else 202, headers={"preference-applied": f"wait={wait_seconds}"})
