"""Index generations as lanes and queries need them: which one answers, what each holds, how the pointer moves.

Spanning tenants is deliberate here, as in documents.py: a builder serves all of them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import bindparam, case, delete, func, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.ids import DocumentId, GenerationId, TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import (
    DocumentRow,
    DocumentStatus,
    GenerationDocumentRow,
    GenerationRow,
    GenerationState,
    IndexMoveRow,
    IndexPointerRow,
)
from stores.sql.types import UtcDateTime

# Who made the generation that a tenant has from its first document on.
_PLATFORM = "platform"


def _held_by(generation_id: Any) -> Any:
    """Return what joins a document with what is noted of it in a generation."""
    return (GenerationDocumentRow.document_id == DocumentRow.id) & (
        GenerationDocumentRow.generation_id == generation_id
    )


# Every question asks these: made once, for SQLAlchemy takes longer over a statement than SQLite over its answer.
_ACTIVE = (
    select(GenerationRow)
    .join(IndexPointerRow, IndexPointerRow.generation_id == GenerationRow.id)
    .where(IndexPointerRow.tenant_id == bindparam("tenant_id"))
)
_AMONG = (
    DocumentRow.tenant_id == bindparam("tenant_id"),
    DocumentRow.id.in_(bindparam("document_ids", expanding=True)),
    DocumentRow.status != DocumentStatus.DELETED,
)
_LIVING = select(DocumentRow.id).where(*_AMONG)
_VISIBLE = (
    select(DocumentRow.id, func.coalesce(GenerationDocumentRow.indexed_revision, 0))
    .outerjoin(GenerationDocumentRow, _held_by(bindparam("generation_id")))
    .where(*_AMONG)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What an embedder's vectors are: never compared with those of another space."""

    embedder: str
    space: str
    dimensions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One way to index a tenant's documents. `chunking` replaces the documents' own where it is not None."""

    id: GenerationId
    tenant_id: TenantId
    number: int
    state: GenerationState
    embedder: str
    space: str
    dimensions: int
    table_space: str
    chunking: Mapping[str, Any] | None

    @classmethod
    def of(cls, row: GenerationRow) -> Self:
        return cls(
            id=GenerationId(row.id),
            tenant_id=TenantId(row.tenant_id),
            number=row.number,
            state=GenerationState(row.state),
            embedder=row.embedder,
            space=row.space,
            dimensions=row.dimensions,
            table_space=row.table_space,
            chunking=row.chunking,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a table has of a document. Without a revision it has nothing, and the error says why.

    `source_indexed_at` is the document's `indexed_at` when its revision was read; None takes it as it is now.
    """

    document_id: DocumentId
    revision: int | None
    chunk_count: int
    source_indexed_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None


class Generations:
    """A tenant that was never written to has none: whoever writes first makes it one."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def active(self, tenant_id: TenantId) -> Generation | None:
        """Return the generation that answers; None if nothing has been indexed since there are generations."""

        async def read() -> Generation | None:
            rows = await self._database.rows(_ACTIVE, {"tenant_id": tenant_id})
            return Generation.of(rows[0][0]) if rows else None

        return await self._database.unchanged(("active generation", tenant_id), read)

    async def still_answers(self, session: AsyncSession, generation: Generation) -> bool:
        """Whether it answers now; if so, no other can before `session`'s transaction has ended."""
        # Shared: whoever notes documents does not wait for others who do, only for whoever moves the pointer.
        pointed = select(IndexPointerRow.generation_id).where(IndexPointerRow.tenant_id == generation.tenant_id)
        return await session.scalar(pointed.with_for_update(read=True)) == generation.id

    async def adopt(self, tenant_id: TenantId, configured: Space) -> Generation:
        """Return the generation that answers, made over the tenant's table of the `configured` space if there is none.

        What documents from before the first generation are indexed with is what it is said to hold.
        """
        found = await self.active(tenant_id)
        if found is None:
            with suppress(IntegrityError):  # another process was quicker
                async with self._database.transaction() as session, session.begin_nested():
                    await self._make_first(session, tenant_id, configured)
            found = await self.active(tenant_id)
        if found is None:
            raise LookupError(f"There is no tenant {tenant_id}.")
        return found

    async def _make_first(self, session: AsyncSession, tenant_id: TenantId, configured: Space) -> None:
        now = self._clock.now()
        generation_id = GenerationId(new_id())
        session.add(
            GenerationRow(
                id=generation_id,
                tenant_id=tenant_id,
                number=1,
                state=GenerationState.ACTIVE,
                embedder=configured.embedder,
                space=configured.space,
                dimensions=configured.dimensions,
                table_space=configured.space,
                created_by=_PLATFORM,
                created_at=now,
                built_at=now,
            )
        )
        await session.flush()
        session.add(IndexPointerRow(tenant_id=tenant_id, generation_id=generation_id, sequence=1))
        session.add(
            IndexMoveRow(
                tenant_id=tenant_id,
                sequence=1,
                generation_id=generation_id,
                moved_at=now,
                moved_by=_PLATFORM,
                forced=False,
            )
        )
        await session.flush()
        await session.execute(_as_they_are(generation_id, tenant_id))

    async def find(self, generation_id: GenerationId) -> Generation | None:
        async with self._database.reading() as session:
            row = await session.get(GenerationRow, generation_id)
            return None if row is None else Generation.of(row)

    async def of(self, tenant_id: TenantId) -> list[Generation]:
        """Return a tenant's generations that have a table, oldest first."""
        query = (
            select(GenerationRow)
            .where(GenerationRow.tenant_id == tenant_id, GenerationRow.state != GenerationState.RETIRED)
            .order_by(GenerationRow.number)
        )
        async with self._database.reading() as session:
            return [Generation.of(row) for row in await session.scalars(query)]

    async def visible(
        self, tenant_id: TenantId, generation: Generation | None, document_ids: Sequence[DocumentId]
    ) -> Mapping[DocumentId, int]:
        """Return the lowest revision that a query of `generation` may show of each living document among these.

        0 where SQL does not know yet that the generation holds it: the index may be ahead of SQL, never behind.
        """
        if generation is None:
            return await self.living(tenant_id, document_ids)
        asked = {"tenant_id": tenant_id, "generation_id": generation.id}

        async def read(unknown: Sequence[DocumentId]) -> dict[DocumentId, int]:
            rows = await self._database.rows(_VISIBLE, {**asked, "document_ids": unknown})
            return {DocumentId(found): revision for found, revision in rows}

        return await self._database.unchanged_of(("visible", tenant_id, generation.id), document_ids, read)

    async def living(self, tenant_id: TenantId, document_ids: Sequence[DocumentId]) -> Mapping[DocumentId, int]:
        """Return those of these documents that are not deleted, each with 0: any revision of them may be shown."""

        async def read(unknown: Sequence[DocumentId]) -> dict[DocumentId, int]:
            asked = {"tenant_id": tenant_id, "document_ids": unknown}
            return {DocumentId(found): 0 for (found,) in await self._database.rows(_LIVING, asked)}

        return await self._database.unchanged_of(("living", tenant_id), document_ids, read)

    async def current(self, generation: Generation) -> dict[DocumentId, int]:
        """Return every living document of the generation's tenant with the revision it holds, 0 while there is none."""
        query = (
            select(DocumentRow.id, func.coalesce(GenerationDocumentRow.indexed_revision, 0))
            .outerjoin(GenerationDocumentRow, _held_by(generation.id))
            .where(DocumentRow.tenant_id == generation.tenant_id, DocumentRow.status != DocumentStatus.DELETED)
        )
        async with self._database.reading() as session:
            return {DocumentId(found): revision for found, revision in await session.execute(query)}

    async def hold(self, session: AsyncSession, generation_id: GenerationId, held: Sequence[Holding]) -> None:
        """Note in `session`'s transaction what the generation's table has of documents; never less than before."""
        if not held:
            return
        insert_or = sqlite.insert if self._database.is_sqlite else postgresql.insert
        own = select(func.coalesce(DocumentRow.indexed_at, DocumentRow.updated_at)).where(
            DocumentRow.id == bindparam("document_id")
        )
        adding = insert_or(GenerationDocumentRow).values(
            generation_id=generation_id,
            document_id=bindparam("document_id"),
            indexed_revision=bindparam("revision"),
            chunk_count=bindparam("chunk_count"),
            source_indexed_at=func.coalesce(bindparam("source_indexed_at", type_=UtcDateTime), own.scalar_subquery()),
            error_code=bindparam("error_code"),
            error_message=bindparam("error_message"),
        )
        before, given = GenerationDocumentRow, adding.excluded
        adding = adding.on_conflict_do_update(
            index_elements=["generation_id", "document_id"],
            set_={
                # A revision that failed leaves the one before it where it is.
                "indexed_revision": func.coalesce(given.indexed_revision, before.indexed_revision),
                "chunk_count": case((given.indexed_revision.is_(None), before.chunk_count), else_=given.chunk_count),
                "source_indexed_at": given.source_indexed_at,
                "error_code": given.error_code,
                "error_message": given.error_message,
            },
            where=given.indexed_revision.is_(None)
            | (func.coalesce(before.indexed_revision, 0) <= given.indexed_revision),
        )
        await (await session.connection()).execute(adding, [asdict(holding) for holding in held])

    async def let_go(
        self, session: AsyncSession, document_ids: Sequence[DocumentId], *, generation_id: GenerationId | None = None
    ) -> None:
        """Note that a generation, or every one of them, has nothing of these documents any more."""
        gone = delete(GenerationDocumentRow).where(GenerationDocumentRow.document_id.in_(document_ids))
        if generation_id is not None:
            gone = gone.where(GenerationDocumentRow.generation_id == generation_id)
        await session.execute(gone.execution_options(synchronize_session=False))

    async def is_usable(self, generation_id: GenerationId) -> bool:
        """Whether the generation has a table still."""
        found = await self.find(generation_id)
        return found is not None and found.state is not GenerationState.RETIRED


def _as_they_are(generation_id: GenerationId, tenant_id: TenantId) -> Any:
    indexed = select(
        literal(generation_id),
        DocumentRow.id,
        DocumentRow.indexed_revision,
        DocumentRow.chunk_count,
        func.coalesce(DocumentRow.indexed_at, DocumentRow.updated_at),
    ).where(
        DocumentRow.tenant_id == tenant_id,
        DocumentRow.status != DocumentStatus.DELETED,
        DocumentRow.indexed_revision.is_not(None),
    )
    columns = ["generation_id", "document_id", "indexed_revision", "chunk_count", "source_indexed_at"]
    return insert(GenerationDocumentRow).from_select(columns, indexed)
