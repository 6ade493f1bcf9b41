"""Many documents at once: one transaction, a result for each, and one entry in the audit log."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError

from core.clock import Clock
from core.errors import CodexError, Conflict, ValidationFailed
from core.events import EventType
from core.ids import DocumentId, TenantId, is_uuid
from server.auth.principal import Principal
from server.openapi.violations import violations_of
from server.rag.batches.repository import BatchRepository
from server.rag.batches.schemas import (
    BatchItem,
    IngestBatchAccepted,
    ItemFailure,
    Selection,
    SelectionDone,
    Touched,
)
from server.rag.documents.schemas import IngestText
from stores.audit import AuditLog
from stores.blobs import BlobKey, BlobStore
from stores.buckets import bucket_of
from stores.fetched import NOT_FETCHED
from stores.letterbox import Letterbox
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database, Session
from stores.sql.models import DocumentRevisionRow, DocumentRow, DocumentStatus, JobKind, Lane

# Making documents loses against another request that makes one of them; finding it next cannot lose again, unless it
# is deleted in between.
_TRIES = 5
_REPROCESSABLE = (DocumentStatus.INDEXED, DocumentStatus.FAILED)

Act = Callable[[Session, Principal, DocumentRow], Touched]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchService:
    """One a process."""

    database: Database
    blobs: BlobStore
    letterbox: Letterbox
    outbox: Outbox
    audit: AuditLog
    bell: Bell
    clock: Clock
    new_id: Callable[[], str]

    async def ingest(self, owner: Principal, items: Sequence[Any]) -> IngestBatchAccepted:
        """Store every item that is valid, in their order, and promise to index them; refuse the others one by one."""
        results: dict[int, BatchItem] = {}
        valid: dict[int, IngestText] = {}
        for index, item in enumerate(items):
            try:
                valid[index] = _validated(item)
            except ValidationFailed as failure:
                results[index] = BatchItem(index=index, status="refused", error=ItemFailure.of(failure))
        if valid:
            results |= await self._store(owner, valid)
        listed = [results[index] for index in range(len(items))]
        return IngestBatchAccepted(items=listed, accepted=len(valid), refused=len(listed) - len(valid))

    async def _store(self, owner: Principal, valid: dict[int, IngestText]) -> dict[int, BatchItem]:
        contents = {index: content for index, item in valid.items() if (content := item.content) is not None}
        stored = await self.blobs.put_many(owner.tenant_id, list(contents.values()))
        keys = dict(zip(contents, stored, strict=True))
        async with self.database.transaction() as session:
            rows = await self._new_or_revised(BatchRepository(session, owner.tenant_id), valid)
            results: dict[int, BatchItem] = {}
            for index, (row, revision) in rows.items():
                size = len(contents.get(index, b""))
                key = keys.get(index, NOT_FETCHED)
                self._add_revision(session, row, revision, valid[index], key, size)
                job_id = self._promise(session, row, revision, Lane.STREAM)
                results[index] = BatchItem(
                    index=index, status="queued", document_id=row.id, revision=revision, job_id=job_id
                )
            await self._log(session, owner, "documents.ingested", [row.id for row, _ in rows.values()])
        await self.database.when_committed(self.bell.ring)
        return results

    async def _new_or_revised(
        self, documents: BatchRepository, valid: dict[int, IngestText]
    ) -> dict[int, tuple[DocumentRow, int]]:
        """Return each item's document and revision; items of one name are revisions of one document, in order."""
        for _ in range(_TRIES):
            names = [(item.collection, name) for item in valid.values() if (name := item.identity) is not None]
            known = await documents.named(names)
            new: list[DocumentRow] = []
            revised: dict[int, tuple[DocumentRow, int]] = {}
            for index, item in valid.items():
                place = None if item.identity is None else (item.collection, item.identity)
                row = None if place is None else known.get(place)
                if row is None:
                    row = self._new(documents.tenant_id, item)
                    new.append(row)
                    if place is not None:
                        known[place] = row
                self._describe(row, item)
                revised[index] = (row, row.revision)
            if await documents.add(new):
                return revised
        raise Conflict("Documents of the batch are being posted and deleted at the same time. Try again.")

    def _new(self, tenant_id: TenantId, item: IngestText) -> DocumentRow:
        now = self.clock.now()
        return DocumentRow(
            id=self.new_id(),
            tenant_id=tenant_id,
            collection=item.collection,
            external_id=item.identity,
            revision=0,
            chunk_count=0,
            bucket=bucket_of(tenant_id),
            created_at=now,
        )

    def _describe(self, row: DocumentRow, item: IngestText) -> None:
        row.revision += 1
        row.status = DocumentStatus.QUEUED
        row.source, row.source_type = item.label, item.source_type
        row.user_metadata = dict(item.metadata)
        row.error_code = row.error_message = None
        row.updated_at = self.clock.now()

    def _add_revision(
        self, session: Session, row: DocumentRow, revision: int, item: IngestText, key: BlobKey, size_bytes: int
    ) -> None:
        session.add(
            DocumentRevisionRow(
                document_id=row.id,
                revision=revision,
                tenant_id=row.tenant_id,
                collection=row.collection,
                source=item.label,
                source_type=item.source_type,
                user_metadata=dict(item.metadata),
                chunking=asdict(item.chunking),
                blob_key=key,
                size_bytes=size_bytes,
                created_at=self.clock.now(),
            )
        )

    def _promise(self, session: Session, row: DocumentRow, revision: int, lane: Lane) -> str:
        return self.letterbox.post(
            session,
            tenant_id=TenantId(row.tenant_id),
            kind=JobKind.INGEST,
            document_id=DocumentId(row.id),
            revision=revision,
            # Addresses wait for strangers: in slots of their own, whoever asked.
            lane=lane if row.source_type in ("file", "text") else Lane.FETCH,
        )

    async def _log(self, session: Session, owner: Principal, action: str, document_ids: Sequence[str]) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=action,
            resource_type="documents",
            resource_id=document_ids[0],
            details={"count": len(document_ids), "document_ids": list(dict.fromkeys(document_ids))},
        )

    async def delete(self, owner: Principal, selection: Selection) -> SelectionDone:
        """Take documents out of every answer at once, and promise to clear them out of the index."""

        def act(session: Session, owner: Principal, row: DocumentRow) -> Touched:
            row.revision += 1
            row.status = DocumentStatus.DELETED
            row.deleted_at = row.updated_at = self.clock.now()
            job_id = self.letterbox.post(
                session,
                tenant_id=owner.tenant_id,
                kind=JobKind.DELETE,
                document_id=DocumentId(row.id),
                revision=row.revision,
            )
            payload = {"document_id": row.id, "revision": row.revision, "job_id": job_id}
            self.outbox.append(session, owner.tenant_id, EventType.RAG_DOCUMENT_DELETED, payload)
            return Touched(document_id=row.id, status="deleted", job_id=job_id)

        return await self._act(owner, selection, act, "documents.deleted")

    async def reprocess(self, owner: Principal, selection: Selection) -> SelectionDone:
        """Index documents anew from the bytes as they were posted; the ones being worked on are left to that."""

        def act(session: Session, owner: Principal, row: DocumentRow) -> Touched:
            if row.status not in _REPROCESSABLE:
                message = "The document is being worked on."
                return Touched(document_id=row.id, status="unchanged", message=message)
            row.status = DocumentStatus.QUEUED
            row.error_code = row.error_message = None
            row.updated_at = self.clock.now()
            # Not ahead of what is being posted: many at once are the batch lane's work.
            job_id = self._promise(session, row, row.revision, Lane.BATCH)
            return Touched(document_id=row.id, status="queued", job_id=job_id)

        return await self._act(owner, selection, act, "documents.reprocessed")

    async def _act(self, owner: Principal, selection: Selection, act: Act, action: str) -> SelectionDone:
        async with self.database.transaction() as session:
            documents = BatchRepository(session, owner.tenant_id)
            found, missing, matched = await _selected(documents, selection)
            if selection.dry_run:
                done = [Touched(document_id=row.id, status="matched") for row in found]
            else:
                if action == "documents.deleted":
                    ids = [DocumentId(row.id) for row in found]
                    await self.letterbox.cancel_queued(session, owner.tenant_id, *ids)
                done = [act(session, owner, row) for row in found]
            changed = [each.document_id for each in done if each.job_id is not None]
            if changed:
                await self._log(session, owner, action, changed)
        if changed:
            await self.database.when_committed(self.bell.ring)
        more = selection.filter is not None and len(found) == selection.limit
        return SelectionDone(
            items=[*done, *(Touched(document_id=each, status="not_found") for each in missing)],
            matched=matched,
            changed=len(changed),
            dry_run=selection.dry_run,
            next_after=found[-1].id if more else None,
        )


async def _selected(documents: BatchRepository, selection: Selection) -> tuple[list[DocumentRow], list[str], int]:
    """Return the rows to act on, the ids that name none, and how many there are to act on in all."""
    if selection.filter is not None:
        wanted = selection.filter.model_dump(exclude_none=True)
        rows = await documents.matching(wanted, after=selection.after, limit=selection.limit)
        return rows, [], await documents.count(wanted)
    asked = list(dict.fromkeys(selection.document_ids or ()))
    known = await documents.by_id([DocumentId(each) for each in asked if is_uuid(each)])
    rows = [known[each] for each in asked if each in known][: selection.limit]
    return rows, [each for each in asked if each not in known], len(known)


def _validated(item: Any) -> IngestText:
    """Return the item as the body of a single ingest. Raises ValidationFailed."""
    if isinstance(item, CodexError):  # a line that is not even JSON
        raise ValidationFailed(item.message, **item.details)
    if not isinstance(item, dict):
        violations = [{"pointer": "", "message": "The item should be a JSON object"}]
        raise ValidationFailed("The item is not valid.", violations=violations)
    try:
        return IngestText.model_validate(item)
    except ValidationError as error:
        raise ValidationFailed("The item is not valid.", violations=violations_of(error)) from None
