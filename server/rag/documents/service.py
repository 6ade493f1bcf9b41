"""Documents come and go: each change is one transaction that also promises the work it causes."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound, ValidationFailed
from core.events import EventType
from core.ids import DocumentId, TenantId, is_uuid
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from server.rag.documents.addresses import is_address
from server.rag.documents.merge_patch import merged
from server.rag.documents.metadata import check_metadata
from server.rag.documents.repository import DocumentRepository, collections_of, page_of, revisions_of
from server.rag.documents.schemas import (
    CollectionsQuery,
    DocumentChange,
    DocumentsQuery,
    IngestRequest,
    RevisionsQuery,
)
from server.rag.documents.views import (
    CollectionPage,
    CollectionView,
    DocumentChanged,
    DocumentDeleted,
    DocumentPage,
    DocumentView,
    IngestAccepted,
    RevisionPage,
    RevisionView,
)
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.fetched import NOT_FETCHED
from stores.letterbox import Letterbox
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database, Session
from stores.sql.models import DocumentRow, DocumentStatus, JobKind, Lane

_REPROCESSABLE = (DocumentStatus.INDEXED, DocumentStatus.FAILED)
# Making a document loses against another request that makes the same one; revising it next cannot lose again,
# unless it is deleted in between.
_TRIES = 5


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

    async def accept(self, owner: Principal, request: IngestRequest) -> IngestAccepted:
        """Store the document, or the next revision of it, and promise to index it."""
        content = request.content
        blob_key = NOT_FETCHED if content is None else await self.blobs.put(owner.tenant_id, content)
        async with self.database.transaction() as session:
            documents = DocumentRepository(session, owner.tenant_id)
            row = await self._new_or_revised(documents, request)
            documents.add_revision(
                row,
                chunking=asdict(request.chunking),
                blob_key=blob_key,
                size_bytes=len(content or b""),
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
            lane=Lane.FETCH if is_address(row.source_type) else Lane.STREAM,
        )
        return IngestAccepted(document_id=row.id, revision=row.revision, job_id=job_id, status="queued")

    async def _new_or_revised(self, documents: DocumentRepository, request: IngestRequest) -> DocumentRow:
        for _ in range(_TRIES):
            row = None
            if request.identity is not None:
                row = await documents.locked_by_external_id(request.collection, request.identity)
            if row is not None:
                self._revise(row, request)
                return row
            row = await documents.add(
                DocumentId(self.new_id()),
                collection=request.collection,
                external_id=request.identity,
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

    async def change(
        self, owner: Principal, document_id: str, change: DocumentChange, *, expected: frozenset[str] | None
    ) -> DocumentChanged:
        """Make the next revision of the document: the same bytes, described or placed anew.

        A revision, because then the index changes as it always does, in one commit. Its texts are those that were
        embedded before, so it costs the reading of the file and no embedding.
        """
        async with self.database.transaction() as session:
            documents = DocumentRepository(session, owner.tenant_id)
            row = await documents.locked(_document_id(document_id))
            if row is None:
                raise ResourceNotFound("document", document_id)
            demand(row.revision, expected)
            before = await documents.revision(row)
            if not _apply(row, change):
                return DocumentChanged(document=DocumentView.of(row), job_id=None)
            row.revision += 1
            row.status = DocumentStatus.QUEUED
            row.error_code = row.error_message = None
            row.updated_at = self.clock.now()
            if not await documents.stored(row):
                raise Conflict("Another document of the collection has this external id.")
            documents.add_revision(
                row,
                chunking=before.chunking,
                blob_key=before.blob_key,
                size_bytes=before.size_bytes,
                origin=before.origin,
                now=row.updated_at,
            )
            accepted = self._promise(session, owner, row)
            await self._log(session, owner, "document.changed", row)
        await self.database.when_committed(self.bell.ring)
        return DocumentChanged(document=DocumentView.of(row), job_id=accepted.job_id)

    async def revisions(self, owner: Principal, document_id: str, query: RevisionsQuery) -> RevisionPage:
        document = await self.document(owner, document_id)
        found = await self.database.read(
            revisions_of(owner.tenant_id, DocumentId(document.document_id), skip=query.skip, limit=query.limit)
        )
        return RevisionPage(
            items=[RevisionView.of(row, document.indexed_revision) for row in found.rows],
            total=found.total,
            skip=query.skip,
            limit=query.limit,
            has_more=found.more,
        )

    async def collections(self, owner: Principal, query: CollectionsQuery) -> CollectionPage:
        found = await self.database.read(collections_of(owner.tenant_id, skip=query.skip, limit=query.limit))
        return CollectionPage(
            items=[CollectionView(**asdict(counted)) for counted in found.rows],
            total=found.total,
            skip=query.skip,
            limit=query.limit,
            has_more=found.more,
        )


def _apply(row: DocumentRow, change: DocumentChange) -> bool:
    """Describe the document anew; whether anything is different. Raises ValidationFailed for what is too much."""
    given = change.model_fields_set
    wanted = {
        "user_metadata": _metadata(row, change) if "metadata" in given else row.user_metadata,
        "collection": change.collection if "collection" in given else row.collection,
        "external_id": change.external_id if "external_id" in given else row.external_id,
    }
    # As JSON: 1 and true, or 1 and 1.0, are equal to Python.
    different = [name for name, value in wanted.items() if json.dumps(value) != json.dumps(getattr(row, name))]
    for name in different:
        setattr(row, name, wanted[name])
    return bool(different)


def _metadata(row: DocumentRow, change: DocumentChange) -> dict[str, Any]:
    if change.metadata is None:
        return {}
    try:
        return check_metadata(merged(row.user_metadata, change.metadata))
    except ValueError as fault:
        violations = [{"pointer": "/metadata", "message": str(fault)}]
        raise ValidationFailed("The request is not valid.", violations=violations) from None


def _document_id(text: str) -> DocumentId:
    # What is not an id cannot be in the table; PostgreSQL would not even take some of it as a parameter.
    if not is_uuid(text):
        raise ResourceNotFound("document", text)
    return DocumentId(text)
