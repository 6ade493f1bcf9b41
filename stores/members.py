"""The documents that a source of many brought: made, revised and retired by what the source has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.events import EventType
from core.ids import DocumentId, TenantId
from stores.blobs import BlobKey
from stores.buckets import bucket_of
from stores.letterbox import Letterbox
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus, JobKind, Lane

# Written in transactions of this many, so that other writers get their turn between them.
_AT_ONCE = 50
_FINGERPRINT = "fingerprint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One document as its source has it now. The fingerprint stands for everything else in it."""

    external_id: str
    source: str
    fingerprint: str
    blob_key: BlobKey
    size_bytes: int
    metadata: Mapping[str, Any]
    chunking: Mapping[str, Any]
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a living document was when its source was last asked; empty when somebody has changed it since."""

    fingerprint: str
    origin: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Whatever is repeated, after a crash or by another worker, changes nothing the second time."""

    database: Database
    letterbox: Letterbox
    outbox: Outbox
    clock: Clock
    new_id: Callable[[], str]

    async def known(self, tenant_id: TenantId, collection: str, source_type: str, prefix: str) -> dict[str, Known]:
        """Return the living documents whose external id begins with `prefix`, by external id."""
        query = (
            _living(tenant_id, collection)
            .join(
                DocumentRevisionRow,
                (DocumentRevisionRow.document_id == DocumentRow.id)
                & (DocumentRevisionRow.revision == DocumentRow.revision),
            )
            .where(
                DocumentRow.source_type == source_type,
                DocumentRow.external_id.startswith(prefix, autoescape=True),
            )
            .with_only_columns(DocumentRow.external_id, DocumentRevisionRow.origin)
        )
        async with self.database.reading() as session:
            return {
                name: Known(fingerprint=(origin or {}).get(_FINGERPRINT, ""), origin=origin or {})
                for name, origin in await session.execute(query)
                if name is not None
            }

    async def put(
        self, tenant_id: TenantId, collection: str, source_type: str, members: Sequence[Member], lane: Lane
    ) -> int:
        """Make or revise the documents of `members` and promise to index them; return how many were different."""
        changed = 0
        for first in range(0, len(members), _AT_ONCE):
            async with self.database.transaction() as session:
                for member in members[first : first + _AT_ONCE]:
                    changed += await self._put(session, tenant_id, collection, source_type, member, lane)
        return changed

    async def _put(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        collection: str,
        source_type: str,
        member: Member,
        lane: Lane,
    ) -> bool:
        row = await _locked(session, tenant_id, collection, member.external_id)
        if row is None:
            row = await self._made(session, tenant_id, collection, source_type, member)
            if row is None:  # another worker made it just now
                return False
        elif await _fingerprint(session, row) == member.fingerprint:
            return False
        else:
            self._revise(row, source_type, member)
        session.add(
            DocumentRevisionRow(
                document_id=row.id,
                revision=row.revision,
                tenant_id=tenant_id,
                collection=collection,
                source=member.source,
                source_type=source_type,
                user_metadata=dict(member.metadata),
                chunking=dict(member.chunking),
                blob_key=member.blob_key,
                size_bytes=member.size_bytes,
                origin={**member.origin, _FINGERPRINT: member.fingerprint},
                created_at=self.clock.now(),
            )
        )
        self.letterbox.post(
            session,
            tenant_id=tenant_id,
            kind=JobKind.INGEST,
            document_id=DocumentId(row.id),
            revision=row.revision,
            lane=lane,
        )
        return True

    async def _made(
        self, session: AsyncSession, tenant_id: TenantId, collection: str, source_type: str, member: Member
    ) -> DocumentRow | None:
        now = self.clock.now()
        row = DocumentRow(
            id=self.new_id(),
            tenant_id=tenant_id,
            collection=collection,
            external_id=member.external_id,
            source=member.source,
            source_type=source_type,
            user_metadata=dict(member.metadata),
            status=DocumentStatus.QUEUED,
            revision=1,
            chunk_count=0,
            bucket=bucket_of(tenant_id),
            created_at=now,
            updated_at=now,
        )
        try:
            async with session.begin_nested():  # PostgreSQL forgives an error only up to a savepoint
                session.add(row)
        except IntegrityError:
            return None
        return row

    def _revise(self, row: DocumentRow, source_type: str, member: Member) -> None:
        row.revision += 1
        row.status = DocumentStatus.QUEUED
        row.source, row.source_type = member.source, source_type
        row.user_metadata = dict(member.metadata)
        row.error_code = row.error_message = None
        row.updated_at = self.clock.now()

    async def retire(self, tenant_id: TenantId, collection: str, external_ids: Sequence[str]) -> int:
        """Delete the documents that the source does not have any more; return how many there were."""
        retired = 0
        for first in range(0, len(external_ids), _AT_ONCE):
            async with self.database.transaction() as session:
                for external_id in external_ids[first : first + _AT_ONCE]:
                    retired += await self._retire(session, tenant_id, collection, external_id)
        return retired

    async def _retire(self, session: AsyncSession, tenant_id: TenantId, collection: str, external_id: str) -> bool:
        row = await _locked(session, tenant_id, collection, external_id)
        if row is None:
            return False
        document_id = DocumentId(row.id)
        # The tombstone is a revision of its own, so the job that writes it comes after all that were posted.
        row.revision += 1
        row.status = DocumentStatus.DELETED
        row.deleted_at = row.updated_at = self.clock.now()
        await self.letterbox.cancel_queued(session, tenant_id, document_id)
        job_id = self.letterbox.post(
            session, tenant_id=tenant_id, kind=JobKind.DELETE, document_id=document_id, revision=row.revision
        )
        payload = {"document_id": row.id, "revision": row.revision, "job_id": job_id}
        self.outbox.append(session, tenant_id, EventType.RAG_DOCUMENT_DELETED, payload)
        return True


def _living(tenant_id: TenantId, collection: str) -> Select[DocumentRow]:
    return select(DocumentRow).where(
        DocumentRow.tenant_id == tenant_id,
        DocumentRow.collection == collection,
        DocumentRow.status != DocumentStatus.DELETED,
    )


async def _locked(session: AsyncSession, tenant_id: TenantId, collection: str, external_id: str) -> DocumentRow | None:
    query = _living(tenant_id, collection).where(DocumentRow.external_id == external_id)
    return await session.scalar(query.with_for_update())


async def _fingerprint(session: AsyncSession, row: DocumentRow) -> str | None:
    origin = await session.scalar(
        select(DocumentRevisionRow.origin).where(
            DocumentRevisionRow.document_id == row.id, DocumentRevisionRow.revision == row.revision
        )
    )
    return origin.get(_FINGERPRINT) if origin else None
