"""Documents of one tenant, their revisions and collections, in SQL."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, distinct, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Reader

from core.ids import DocumentId, TenantId
from server.openapi.pagination import Place
from stores.buckets import bucket_of
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus
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

    async def stored(self, row: DocumentRow) -> bool:
        """Write the changed row; False if another living document has its external id in its collection."""
        if row.external_id is None:
            return True
        other = self._living().where(
            DocumentRow.collection == row.collection,
            DocumentRow.external_id == row.external_id,
            DocumentRow.id != row.id,
        )
        try:
            with self._session.no_autoflush:
                if await self._session.scalar(other) is not None:
                    return False
            async with self._session.begin_nested():  # another request may be making that one just now
                await self._session.flush()
        except IntegrityError:
            return False
        return True

    async def revision(self, row: DocumentRow) -> DocumentRevisionRow:
        """Return what the document's current revision is made of."""
        query = self.rows_of(DocumentRevisionRow).where(
            DocumentRevisionRow.document_id == row.id, DocumentRevisionRow.revision == row.revision
        )
        return (await self._session.scalars(query)).one()

    def add_revision(
        self,
        row: DocumentRow,
        *,
        chunking: Mapping[str, Any],
        blob_key: str,
        size_bytes: int,
        now: datetime,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        """Write down what the document's current revision is made of."""
        self._session.add(
            DocumentRevisionRow(
                document_id=row.id,
                revision=row.revision,
                tenant_id=self.tenant_id,
                collection=row.collection,
                source=row.source,
                source_type=row.source_type,
                user_metadata=row.user_metadata,
                chunking=dict(chunking),
                blob_key=blob_key,
                size_bytes=size_bytes,
                origin=None if origin is None else dict(origin),
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


def revisions_of(
    tenant_id: TenantId, document_id: DocumentId, *, skip: int, limit: int
) -> Callable[[Reader], Slice[DocumentRevisionRow]]:
    """Return what reads some of a document's revisions, newest first."""
    matching = select(DocumentRevisionRow).where(
        DocumentRevisionRow.tenant_id == tenant_id, DocumentRevisionRow.document_id == document_id
    )
    page = matching.order_by(DocumentRevisionRow.revision.desc()).offset(skip).limit(limit + 1)
    return slice_of(matching, page, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A collection and what is in it."""

    collection: str
    documents: int
    indexed: int
    failed: int
    chunks: int
    updated_at: datetime


def collections_of(tenant_id: TenantId, *, skip: int, limit: int) -> Callable[[Reader], Slice[Counted]]:
    """Return what counts a tenant's living documents by collection, in order of its name."""
    living = (DocumentRow.tenant_id == tenant_id, DocumentRow.status != DocumentStatus.DELETED)
    total = select(func.count(distinct(DocumentRow.collection))).where(*living)
    page = (
        select(
            DocumentRow.collection,
            func.count(),
            func.count(DocumentRow.indexed_revision),
            func.sum(case((DocumentRow.status == DocumentStatus.FAILED, 1), else_=0)),
            func.sum(DocumentRow.chunk_count),
            func.max(DocumentRow.updated_at),
        )
        .where(*living)
        .group_by(DocumentRow.collection)
        .order_by(DocumentRow.collection)
        .offset(skip)
        .limit(limit + 1)
    )

    def read(session: Reader) -> Slice[Counted]:
        rows = [
            Counted(
                collection=name, documents=documents, indexed=indexed, failed=failed, chunks=chunks, updated_at=updated
            )
            for name, documents, indexed, failed, chunks, updated in session.execute(page)
        ]
        return Slice.of(rows, limit=limit, total=session.scalar(total) or 0)

    return read
