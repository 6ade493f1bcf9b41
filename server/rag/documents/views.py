"""What a client sees of documents. Field names are those of the API reference."""

from datetime import datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from server.openapi.models import Answer
from server.openapi.pagination import Page
from server.rag.documents.schemas import Status, Strategy
from server.rag.jobs.schemas import Failure, JobView, failure_of
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus

# What a job's state means for its document.
_SHOWN_AS: dict[str, Status] = {
    "queued": "queued",
    "processing": "processing",
    "succeeded": "indexed",
    "failed": "failed",
    "cancelled": "deleted",
}


def status_after(job: JobView) -> Status:
    """Return what a job's document is, as far as the job goes. One that was called off by its owner has a reason."""
    return "failed" if job.error is not None and job.status == "cancelled" else _SHOWN_AS[job.status]


class IngestAccepted(Answer):
    """The document is stored, and the job will index it."""

    document_id: str
    revision: int
    job_id: str
    status: Status


class IngestFinished(IngestAccepted):
    """What became of the document; `error` says why it failed."""

    error: Failure | None


class DocumentDeleted(Answer):
    """The document is gone from every answer; `job_id` clears it out of the index."""

    document_id: str
    job_id: str
    status: Literal["deleted"] = "deleted"


class DocumentView(Answer):
    """A document. `indexed_revision` is the one that answers; a newer `revision` may be on its way."""

    tagged: ClassVar[bool] = True

    document_id: str
    collection: str
    external_id: str | None
    source: str
    source_type: str
    metadata: dict[str, Any]
    status: Status
    revision: int
    indexed_revision: int | None
    chunk_count: int
    error: Failure | None
    created_at: datetime
    updated_at: datetime
    indexed_at: datetime | None
    deleted_at: datetime | None

    @classmethod
    def of(cls, row: DocumentRow) -> Self:
        return cls(
            document_id=row.id,
            collection=row.collection,
            external_id=row.external_id,
            source=row.source,
            source_type=row.source_type,
            metadata=row.user_metadata,
            status=DocumentStatus(row.status).value,
            revision=row.revision,
            indexed_revision=row.indexed_revision,
            chunk_count=row.chunk_count,
            error=failure_of(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
            indexed_at=row.indexed_at,
            deleted_at=row.deleted_at,
        )


class DocumentPage(Page[DocumentView]):
    pass


class DocumentChanged(Answer):
    """The document as it is now. `job_id` brings the change into the index; null where nothing was different."""

    tagged: ClassVar[bool] = True

    document: DocumentView
    job_id: str | None


class Chunking(Answer):
    strategy: Strategy
    chunk_tokens: int
    overlap_tokens: int


class RevisionView(Answer):
    """One revision as it was posted."""

    revision: int
    is_indexed: bool = Field(description="Whether this is the one that answers.")
    source: str
    source_type: str
    metadata: dict[str, Any]
    chunking: Chunking
    size_bytes: int
    content_sha256: str
    created_at: datetime

    @classmethod
    def of(cls, row: DocumentRevisionRow, indexed_revision: int | None) -> Self:
        return cls(
            revision=row.revision,
            is_indexed=row.revision == indexed_revision,
            source=row.source,
            source_type=row.source_type,
            metadata=row.user_metadata,
            chunking=Chunking.model_validate(row.chunking),
            size_bytes=row.size_bytes,
            content_sha256=row.blob_key,
            created_at=row.created_at,
        )


class RevisionPage(Answer):
    items: list[RevisionView]
    total: int
    skip: int
    limit: int
    has_more: bool


class CollectionView(Answer):
    """A collection exists as long as there is a document in it."""

    collection: str
    documents: int
    indexed: int = Field(description="Documents with a revision that answers.")
    failed: int
    chunks: int
    updated_at: datetime


class CollectionPage(Answer):
    items: list[CollectionView]
    total: int
    skip: int
    limit: int
    has_more: bool


class ChunkView(Answer):
    """A chunk: characters `start` to `end` of the document's text."""

    chunk_id: str
    position: int
    content: str
    tokens: int
    page: int | None
    section: str | None
    start: int
    end: int


class ChunkPage(Answer):
    items: list[ChunkView]
    total: int
    skip: int
    limit: int
    has_more: bool
