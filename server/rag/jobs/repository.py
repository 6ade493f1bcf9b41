"""Jobs of one tenant, in SQL."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Reader

from core.errors import CodexError
from core.ids import JobId, TenantId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import DocumentRow, DocumentStatus, JobRow
from stores.sql.repository import TenantRepository


class JobRepository(TenantRepository):
    async def find(self, job_id: JobId) -> JobRow | None:
        return await self._session.scalar(self.rows_of(JobRow).where(JobRow.id == job_id))

    async def locked(self, job_id: JobId) -> JobRow | None:
        """Return the job and hold it until the transaction ends: no worker takes it meanwhile."""
        return await self._session.scalar(self.rows_of(JobRow).where(JobRow.id == job_id).with_for_update())

    async def call_off_document(self, job: JobRow, reason: CodexError, now: datetime) -> bool:
        """Show a document that waited for `job` as what it was, or as failed; whether it failed."""
        waiting = (
            DocumentRow.id == job.document_id,
            DocumentRow.tenant_id == self.tenant_id,
            DocumentRow.revision == job.revision,
            DocumentRow.status == DocumentStatus.QUEUED,
        )
        was_indexed = update(DocumentRow).where(*waiting, DocumentRow.indexed_revision == job.revision)
        is_lost = update(DocumentRow).where(*waiting).returning(DocumentRow.id)
        unsynchronised = {"synchronize_session": False}
        await self._session.execute(
            was_indexed.values(status=DocumentStatus.INDEXED, updated_at=now).execution_options(**unsynchronised)
        )
        failed = await self._session.execute(
            is_lost.values(
                status=DocumentStatus.FAILED, error_code=reason.code, error_message=reason.message, updated_at=now
            ).execution_options(**unsynchronised)
        )
        return failed.first() is not None


def page_of(
    tenant_id: TenantId, *, place: Place, limit: int, status: str | None, kind: str | None, document_id: str | None
) -> Callable[[Reader], Slice[JobRow]]:
    """Return what reads one page of a tenant's jobs, newest first."""
    matching = select(JobRow).where(JobRow.tenant_id == tenant_id)
    if status is not None:
        matching = matching.where(JobRow.status == status)
    if kind is not None:
        matching = matching.where(JobRow.kind == kind)
    if document_id is not None:
        matching = matching.where(JobRow.document_id == document_id)
    page = newest_first(matching, JobRow.created_at, JobRow.id, after=place.after, offset=place.offset, limit=limit + 1)
    return slice_of(matching, page, limit=limit)
