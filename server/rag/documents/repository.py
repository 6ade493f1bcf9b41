"""Documents, their revisions and jobs of one tenant, in SQL."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Reader

from core.ids import DocumentId, JobId, TenantId
from server.openapi.pagination import Place
from stores.buckets import bucket_of
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus, JobRow
from stores.sql.repository import TenantRepository


class DocumentRepository(TenantRepository):
    """`locked_…` finders hold the row until the transaction ends, so that revisions count up one at a time."""

    async def living(self, document_id: DocumentId) -> DocumentRow | None:
        return await self._session.scalar(self._living().where(DocumentRow.id == document_id))

    async def locked(self, document_id: DocumentId) -> DocumentRow | None:
        return await self._session.scalar(self._living().where(DocumentRow.id == document_id).with_for_update())

    async def locked_by_external_id(self, collection: str, external_id: str) -> DocumentRow | None:
        query = self._living().where(DocumentRow.collection == collection, DocumentRow.external_id == external_id)
        return await self._session.scalar(query.with_for_update())

    def _living(self) -> Select[DocumentRow]:
        return self.rows_of(DocumentRow).where(DocumentRow.status != DocumentStatus.DELETED)

    async def add(
        self,
        document_id: DocumentId,
        *,
        collection: str,
        external_id: str | None,
        source: str,
        source_type: str,
        metadata: Mapping[str, Any],
        now: datetime,
    ) -> DocumentRow | None:
        """Return the new document, or None if another request has just made the one with this external id."""
        row = DocumentRow(
            id=document_id,
            tenant_id=self.tenant_id,
            collection=collection,
            external_id=external_id,
            source=source,
            source_type=source_type,
            user_metadata=dict(metadata),
            status=DocumentStatus.QUEUED,
            revision=1,
            chunk_count=0,
            bucket=bucket_of(self.tenant_id),
            created_at=now,
            updated_at=now,
        )
        if external_id is None:
            self._session.add(row)
            await self._session.flush()  # revisions and jobs refer to it
            return row
        try:
            async with self._session.begin_nested():  # PostgreSQL forgives an error only up to a savepoint
                self._session.add(row)
        except IntegrityError:
            return None
        return row

    def add_revision(
        self, row: DocumentRow, *, chunking: Mapping[str, Any], blob_key: str, size_bytes: int, now: datetime
    ) -> None:
        """Write down what the document's current revision is made of."""
        self._session.add(
            DocumentRevisionRow(
                document_id=row.id,
                revision=row.revision,
                tenant_id=self.tenant_id,
                source=row.source,
                source_type=row.source_type,
                user_metadata=row.user_metadata,
                chunking=dict(chunking),
                blob_key=blob_key,
                size_bytes=size_bytes,
                created_at=now,
            )
        )


def page_of(
    tenant_id: TenantId,
    *,
    place: Place,
    limit: int,
    collection: str | None,
    status: str | None,
    source_type: str | None,
    search: str | None,
) -> Callable[[Reader], Slice[DocumentRow]]:
    """Return what reads one page of a tenant's documents, newest first."""
    matching = select(DocumentRow).where(
        DocumentRow.tenant_id == tenant_id,
        DocumentRow.status != DocumentStatus.DELETED if status is None else DocumentRow.status == status,
    )
    if collection is not None:
        matching = matching.where(DocumentRow.collection == collection)
    if source_type is not None:
        matching = matching.where(DocumentRow.source_type == source_type)
    if search:
        matching = matching.where(
            or_(
                DocumentRow.source.icontains(search, autoescape=True),
                DocumentRow.external_id.icontains(search, autoescape=True),
            )
        )
    page = newest_first(
        matching, DocumentRow.created_at, DocumentRow.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(matching, page, limit=limit)


class JobRepository(TenantRepository):
    async def find(self, job_id: JobId) -> JobRow | None:
        return await self._session.scalar(self.rows_of(JobRow).where(JobRow.id == job_id))
