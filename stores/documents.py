"""Documents as the recipes need them: what a job is to work on, and what its outcome changes.

Spanning tenants is deliberate here: a worker serves all of them, and every row it reads says whose it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import CodexError
from core.ids import DocumentId, TenantId
from stores.blobs import BlobKey
from stores.letterbox import Job
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus

# Ids in one statement; far below what any backend takes.
_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRevision:
    """One revision as it was accepted."""

    tenant_id: TenantId
    document_id: DocumentId
    revision: int
    collection: str
    source: str
    source_type: str
    metadata: Mapping[str, Any]
    chunking: Mapping[str, Any]
    blob_key: BlobKey


class Documents:
    """Reads by key and the three outcomes of a job."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def revisions(self, jobs: Sequence[Job]) -> dict[tuple[DocumentId, int], StoredRevision]:
        """Return the revisions that `jobs` are about; those of deleted documents are left out."""
        return await self.revisions_of([(job.document_id, job.revision) for job in jobs])

    async def revisions_of(
        self, wanted: Sequence[tuple[DocumentId, int]]
    ) -> dict[tuple[DocumentId, int], StoredRevision]:
        """Return these revisions; those of deleted documents are left out."""
        query = (
            select(DocumentRevisionRow, func.coalesce(DocumentRevisionRow.collection, DocumentRow.collection))
            .join(DocumentRow, DocumentRow.id == DocumentRevisionRow.document_id)
            .where(
                tuple_(DocumentRevisionRow.document_id, DocumentRevisionRow.revision).in_(wanted),
                DocumentRow.status != DocumentStatus.DELETED,
            )
        )
        async with self._database.reading() as session:
            found = await session.execute(query)
            return {
                (DocumentId(row.document_id), row.revision): StoredRevision(
                    tenant_id=TenantId(row.tenant_id),
                    document_id=DocumentId(row.document_id),
                    revision=row.revision,
                    collection=collection,
                    source=row.source,
                    source_type=row.source_type,
                    metadata=row.user_metadata,
                    chunking=row.chunking,
                    blob_key=BlobKey(row.blob_key),
                )
                for row, collection in found
            }

    async def living(self, document_ids: Collection[DocumentId]) -> set[DocumentId]:
        """Return those of these documents that there are and that are not deleted."""
        asked, found = sorted(document_ids), set[DocumentId]()
        async with self._database.reading() as session:
            for first in range(0, len(asked), _ASKED_AT_ONCE):
                query = select(DocumentRow.id).where(
                    DocumentRow.id.in_(asked[first : first + _ASKED_AT_ONCE]),
                    DocumentRow.status != DocumentStatus.DELETED,
                )
                found |= set(map(DocumentId, await session.scalars(query)))
        return found

    async def size_bytes(self, jobs: Sequence[Job]) -> int:
        """Return the bytes that the revisions of `jobs` hold together."""
        wanted = [(job.document_id, job.revision) for job in jobs]
        query = select(func.coalesce(func.sum(DocumentRevisionRow.size_bytes), 0)).where(
            tuple_(DocumentRevisionRow.document_id, DocumentRevisionRow.revision).in_(wanted)
        )
        async with self._database.reading() as session:
            return int(await session.scalar(query) or 0)

    async def tenants(self) -> list[TenantId]:
        """Return the tenants that have, or had, documents."""
        query = select(DocumentRow.tenant_id).distinct().order_by(DocumentRow.tenant_id)
        async with self._database.reading() as session:
            return [TenantId(tenant_id) for tenant_id in await session.scalars(query)]

    async def started(self, jobs: Sequence[Job]) -> None:
        """Show the documents of `jobs` as in work, unless an earlier revision of theirs is already answering."""
        async with self._database.transaction() as session:
            await session.execute(
                update(DocumentRow)
                .where(
                    DocumentRow.id.in_([job.document_id for job in jobs]),
                    DocumentRow.status == DocumentStatus.QUEUED,
                )
                .values(status=DocumentStatus.PROCESSING, updated_at=self._clock.now())
                .execution_options(synchronize_session=False)
            )

    async def indexed(self, session: AsyncSession, job: Job, *, chunk_count: int) -> bool:
        """Make the job's revision the visible one. False if the document was deleted or has moved on."""
        now = self._clock.now()
        changed = await session.execute(
            update(DocumentRow)
            .where(
                DocumentRow.id == job.document_id,
                DocumentRow.tenant_id == job.tenant_id,
                DocumentRow.status != DocumentStatus.DELETED,
                (DocumentRow.indexed_revision.is_(None)) | (DocumentRow.indexed_revision <= job.revision),
            )
            .values(
                indexed_revision=job.revision,
                chunk_count=chunk_count,
                indexed_at=now,
                updated_at=now,
            )
            .returning(DocumentRow.revision)
            .execution_options(synchronize_session=False)
        )
        latest = changed.scalar_one_or_none()
        if latest == job.revision:
            await self._set_status(session, job, DocumentStatus.INDEXED, failure=None)
        return latest is not None

    async def failed(self, session: AsyncSession, job: Job, failure: CodexError) -> bool:
        """Note that the job's revision failed; an older one goes on answering. False if the document has moved on."""
        return await self._set_status(session, job, DocumentStatus.FAILED, failure)

    async def _set_status(
        self,
        session: AsyncSession,
        job: Job,
        status: DocumentStatus,
        failure: CodexError | None,
    ) -> bool:
        changed = await session.execute(
            update(DocumentRow)
            .where(
                DocumentRow.id == job.document_id,
                DocumentRow.tenant_id == job.tenant_id,
                DocumentRow.revision == job.revision,
                DocumentRow.status != DocumentStatus.DELETED,
            )
            .values(
                status=status,
                error_code=failure.code if failure else None,
                error_message=failure.message if failure else None,
                updated_at=self._clock.now(),
            )
            .returning(DocumentRow.id)
            .execution_options(synchronize_session=False)
        )
        return changed.first() is not None
