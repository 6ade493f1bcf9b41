"""Put tenants and documents into the stores the way the API does, for tests that start below it."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from core.clock import Clock, SystemClock
from core.ids import DocumentId, JobId, TenantId, new_id
from stores.blobs import BlobStore
from stores.buckets import bucket_of
from stores.letterbox import Letterbox
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus, JobKind, JobRow, Lane, TenantRow


class Poster:
    """Accepts documents: blob first, then document, revision and job in one transaction."""

    def __init__(self, database: Database, blob_path: Path, clock: Clock | None = None) -> None:
        self.database = database
        self.clock = clock or SystemClock()
        self.blobs = BlobStore(blob_path.as_uri())
        self.letterbox = Letterbox(database, self.clock, lease=timedelta(seconds=30), sweep_after=timedelta(seconds=60))

    async def tenant(self) -> TenantId:
        tenant_id = TenantId(new_id())
        async with self.database.transaction() as session:
            session.add(TenantRow(id=tenant_id, name="test", created_at=self.clock.now()))
        return tenant_id

    async def post(
        self,
        tenant_id: TenantId,
        text: str,
        *,
        document_id: DocumentId | None = None,
        lane: Lane = Lane.STREAM,
        source: str = "note.txt",
        chunk_tokens: int = 40,
    ) -> DocumentId:
        """Post a text, as a new document or as the next revision of `document_id`."""
        key = await self.blobs.put(tenant_id, text.encode())
        now = self.clock.now()
        async with self.database.transaction() as session:
            row = await session.get(DocumentRow, document_id) if document_id else None
            if row is None:
                row = DocumentRow(
                    id=new_id(),
                    tenant_id=tenant_id,
                    collection="default",
                    source=source,
                    source_type="text",
                    user_metadata={},
                    revision=0,
                    chunk_count=0,
                    bucket=bucket_of(tenant_id),
                    created_at=now,
                )
                session.add(row)
            row.revision += 1
            row.status, row.updated_at = DocumentStatus.QUEUED, now
            await session.flush()
            session.add(
                DocumentRevisionRow(
                    document_id=row.id,
                    revision=row.revision,
                    tenant_id=tenant_id,
                    collection=row.collection,
                    source=source,
                    source_type="text",
                    user_metadata={},
                    chunking={"strategy": "fixed", "chunk_tokens": chunk_tokens, "overlap_tokens": 0},
                    blob_key=key,
                    size_bytes=len(text.encode()),
                    created_at=now,
                )
            )
            posted = DocumentId(row.id)
            self.letterbox.post(
                session,
                tenant_id=tenant_id,
                kind=JobKind.INGEST,
                document_id=posted,
                revision=row.revision,
                lane=lane,
            )
        return posted

    async def delete(self, tenant_id: TenantId, document_id: DocumentId) -> None:
        async with self.database.transaction() as session:
            row = await session.get_one(DocumentRow, document_id)
            row.revision += 1
            row.status, row.deleted_at = DocumentStatus.DELETED, self.clock.now()
            await self.letterbox.cancel_queued(session, tenant_id, document_id)
            self.letterbox.post(
                session,
                tenant_id=tenant_id,
                kind=JobKind.DELETE,
                document_id=document_id,
                revision=row.revision,
            )

    async def open_jobs(self) -> list[JobId]:
        async with self.database.reading() as session:
            found = await session.scalars(select(JobRow.id).where(JobRow.finished_at.is_(None)))
            return [JobId(job_id) for job_id in found]
