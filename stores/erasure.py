"""What is left of deleted documents, erased for good: their bytes and revisions. A bare tombstone stays listed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, select, update

from core.clock import Clock
from core.ids import DocumentId, TenantId
from stores.blobs import BlobKey, BlobStore
from stores.fetched import NOT_FETCHED
from stores.letterbox import OPEN
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus, JobRow

_AT_ONCE = 200


class Erasure:
    """Run again and again, by several at once if need be: what is half done is finished by whoever comes next."""

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    async def erase_deleted(self, *, grace: timedelta) -> int:
        """Erase documents that were deleted longer than `grace` ago; return how many.

        Their bytes go first: after a crash in between the revisions still say what there is to erase.
        """
        over = _is_over(self._clock.now() - grace)
        erased = 0
        while found := await self._next(over):
            for tenant_id, document_id in found:
                await self._erase(tenant_id, document_id, over)
            erased += len(found)
        return erased

    async def _next(self, over: ColumnElement[bool]) -> Sequence[tuple[TenantId, DocumentId]]:
        has_content = exists().where(DocumentRevisionRow.document_id == DocumentRow.id)
        query = select(DocumentRow.tenant_id, DocumentRow.id).where(over, has_content).limit(_AT_ONCE)
        async with self._database.reading() as session:
            return [(TenantId(tenant_id), DocumentId(found)) for tenant_id, found in await session.execute(query)]

    async def _erase(self, tenant_id: TenantId, document_id: DocumentId, over: ColumnElement[bool]) -> None:
        own = select(DocumentRevisionRow.blob_key).where(
            DocumentRevisionRow.document_id == document_id, DocumentRevisionRow.blob_key != NOT_FETCHED
        )
        async with self._database.reading() as session:
            keys = [BlobKey(key) for key in await session.scalars(own.distinct())]
        for key in keys:

            async def is_used(key: BlobKey = key) -> bool:
                return await self._is_used(tenant_id, key, over)

            await self._blobs.erase(tenant_id, key, is_used)
        async with self._database.transaction() as session:
            unsynchronised = {"synchronize_session": False}
            revisions = delete(DocumentRevisionRow).where(DocumentRevisionRow.document_id == document_id)
            await session.execute(revisions.execution_options(**unsynchronised))
            await session.execute(
                update(DocumentRow)
                .where(DocumentRow.id == document_id)
                .values(
                    source="",
                    external_id=None,
                    user_metadata={},
                    error_code=None,
                    error_message=None,
                    chunk_count=0,
                )
                .execution_options(**unsynchronised)
            )

    async def _is_used(self, tenant_id: TenantId, key: BlobKey, over: ColumnElement[bool]) -> bool:
        """Whether a document that is not to be erased has, or had, these bytes."""
        query = (
            select(DocumentRow.id)
            .join(DocumentRevisionRow, DocumentRevisionRow.document_id == DocumentRow.id)
            .where(DocumentRevisionRow.tenant_id == tenant_id, DocumentRevisionRow.blob_key == key, ~over)
            .limit(1)
        )
        async with self._database.reading() as session:
            return await session.scalar(query) is not None


def _is_over(before: datetime) -> ColumnElement[bool]:
    at_work = exists().where(JobRow.document_id == DocumentRow.id, JobRow.status.in_(OPEN))
    return and_(
        DocumentRow.status == DocumentStatus.DELETED,
        DocumentRow.deleted_at.is_not(None),
        DocumentRow.deleted_at <= before,
        ~at_work,
    )
