"""Documents come and go: each change is one transaction that also promises the work it causes."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound
from core.events import EventType
from core.ids import DocumentId, JobId, TenantId, is_uuid
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.rag.documents.repository import DocumentRepository, JobRepository, page_of
from server.rag.documents.schemas import (
    DocumentDeleted,
    DocumentPage,
    DocumentsQuery,
    DocumentView,
    IngestAccepted,
    IngestFinished,
    IngestRequest,
    JobView,
    Status,
    failure_of,
)
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.letterbox import OPEN, Letterbox
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database, Session
from stores.sql.models import DocumentRow, DocumentStatus, JobKind, JobStatus

_REPROCESSABLE = (DocumentStatus.INDEXED, DocumentStatus.FAILED)
# Making a document loses against another request that makes the same one; revising it next cannot lose again,
# unless it is deleted in between.
_TRIES = 5
_FIRST_LOOK_SECONDS = 0.02
_SLOWEST_LOOK_SECONDS = 0.2
# What a job's state means for its document. A job is cancelled when its document is deleted.
_SHOWN_AS: dict[JobStatus, Status] = {
    JobStatus.QUEUED: "queued",
    JobStatus.PROCESSING: "processing",
    JobStatus.SUCCEEDED: "indexed",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "deleted",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentService:
    """One a process."""

    database: Database
    blobs: BlobStore
    letterbox: Letterbox
    outbox: Outbox
    audit: AuditLog
    bell: Bell
    clock: Clock
    new_id: Callable[[], str]
    cursors: Cursors
    stopping: asyncio.Event

    async def accept(self, owner: Principal, request: IngestRequest) -> IngestAccepted:
        """Store the document, or the next revision of it, and promise to index it."""
        content = request.content
        blob_key = await self.blobs.put(owner.tenant_id, content)
        async with self.database.transaction() as session:
            documents = DocumentRepository(session, owner.tenant_id)
            row = await self._new_or_revised(documents, request)
            documents.add_revision(
                row,
                chunking=asdict(request.chunking),
                blob_key=blob_key,
                size_bytes=len(content),
                now=self.clock.now(),
            )
            accepted = self._promise(session, owner, row)
            await self._log(session, owner, "document.ingested", row)
        await self.database.when_committed(self.bell.ring)
        return accepted

    async def _log(self, session: Session, owner: Principal, action: str, row: DocumentRow) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="document",
            resource_id=row.id,
            details={"revision": row.revision, "collection": row.collection},
        )

    def _promise(self, session: Session, owner: Principal, row: DocumentRow) -> IngestAccepted:
        job_id = self.letterbox.post(
            session,
            tenant_id=owner.tenant_id,
            kind=JobKind.INGEST,
            document_id=DocumentId(row.id),
            revision=row.revision,
        )
        return IngestAccepted(document_id=row.id, revision=row.revision, job_id=job_id, status="queued")

    async def _new_or_revised(self, documents: DocumentRepository, request: IngestRequest) -> DocumentRow:
        for _ in range(_TRIES):
            row = None
            if request.external_id is not None:
                row = await documents.locked_by_external_id(request.collection, request.external_id)
            if row is not None:
                self._revise(row, request)
                return row
            row = await documents.add(
                DocumentId(self.new_id()),
                collection=request.collection,
                external_id=request.external_id,
                source=request.label,
                source_type=request.source_type,
                metadata=request.metadata,
                now=self.clock.now(),
            )
            if row is not None:
                return row
        raise Conflict("The document is being posted and deleted at the same time. Try again.")

    def _revise(self, row: DocumentRow, request: IngestRequest) -> None:
        row.revision += 1
        row.status = DocumentStatus.QUEUED
        row.source, row.source_type = request.label, request.source_type
        row.user_metadata = dict(request.metadata)
        row.error_code = row.error_message = None
        row.updated_at = self.clock.now()

    async def outcome(
        self, owner: Principal, accepted: IngestAccepted, *, wait_seconds: float
    ) -> IngestAccepted | IngestFinished:
        """Wait for the job, but no longer than `wait_seconds` or the server's life; return how far it has come."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        pause = _FIRST_LOOK_SECONDS
        while (remaining := deadline - loop.time()) > 0 and not self.stopping.is_set():
            await asyncio.sleep(min(pause, remaining))
            pause = min(pause * 1.25, _SLOWEST_LOOK_SECONDS)
            async with self.database.reading() as session:
                job = await JobRepository(session, owner.tenant_id).find(JobId(accepted.job_id))
            if job is not None:
                accepted = accepted.model_copy(update={"status": _SHOWN_AS[JobStatus(job.status)]})
                if job.status not in OPEN:
                    return IngestFinished(**accepted.model_dump(), error=failure_of(job))
        return accepted

    async def page(self, owner: Principal, query: DocumentsQuery) -> DocumentPage:
        return await self.database.unchanged((owner.tenant_id, query), lambda: self._page(owner.tenant_id, query))

    async def _page(self, tenant_id: TenantId, query: DocumentsQuery) -> DocumentPage:
        scope = {"tenant_id": tenant_id, "listing": "documents"}
        place = self.cursors.place(query, **scope)
        filters = query.model_dump(exclude={"skip", "cursor"})
        found = await self.database.read(page_of(tenant_id, place=place, **filters))
        last = found.rows[-1] if found.more else None
        return DocumentPage(
            items=[DocumentView.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def document(self, owner: Principal, document_id: str) -> DocumentView:
        async with self.database.reading() as session:
            row = await DocumentRepository(session, owner.tenant_id).living(_document_id(document_id))
        if row is None:
            raise ResourceNotFound("document", document_id)
        return DocumentView.of(row)

    async def delete(self, owner: Principal, document_id: str) -> DocumentDeleted:
        """Take the document out of every answer at once, and promise to clear it out of the index."""
        async with self.database.transaction() as session:
            row = await DocumentRepository(session, owner.tenant_id).locked(_document_id(document_id))
            if row is None:
                raise ResourceNotFound("document", document_id)
            # The tombstone is a revision of its own, so the job that writes it comes after all that were posted.
            row.revision += 1
            row.status = DocumentStatus.DELETED
            row.deleted_at = row.updated_at = self.clock.now()
            await self.letterbox.cancel_queued(session, owner.tenant_id, DocumentId(row.id))
            job_id = self.letterbox.post(
                session,
                tenant_id=owner.tenant_id,
                kind=JobKind.DELETE,
                document_id=DocumentId(row.id),
                revision=row.revision,
            )
            payload = {"document_id": row.id, "revision": row.revision, "job_id": job_id}
            self.outbox.append(session, owner.tenant_id, EventType.RAG_DOCUMENT_DELETED, payload)
            await self._log(session, owner, "document.deleted", row)
        await self.database.when_committed(self.bell.ring)
        return DocumentDeleted(document_id=row.id, job_id=job_id)

    async def reprocess(self, owner: Principal, document_id: str) -> IngestAccepted:
        """Index the current revision anew, from the bytes as they were posted."""
        async with self.database.transaction() as session:
            row = await DocumentRepository(session, owner.tenant_id).locked(_document_id(document_id))
            if row is None:
                raise ResourceNotFound("document", document_id)
            if row.status not in _REPROCESSABLE:
                raise Conflict(
                    "The document is being worked on. Wait until it is indexed or failed.", status=row.status
                )
            row.status = DocumentStatus.QUEUED
            row.error_code = row.error_message = None
            row.updated_at = self.clock.now()
            accepted = self._promise(session, owner, row)
            await self._log(session, owner, "document.reprocessed", row)
        await self.database.when_committed(self.bell.ring)
        return accepted

    async def job(self, owner: Principal, job_id: str) -> JobView:
        found = None
        if is_uuid(job_id):
            async with self.database.reading() as session:
                found = await JobRepository(session, owner.tenant_id).find(JobId(job_id))
        if found is None:
            raise ResourceNotFound("job", job_id)
        return JobView.of(found)


def _document_id(text: str) -> DocumentId:
    # What is not an id cannot be in the table; PostgreSQL would not even take some of it as a parameter.
    if not is_uuid(text):
        raise ResourceNotFound("document", text)
    return DocumentId(text)
