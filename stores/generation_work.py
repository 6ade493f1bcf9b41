"""What a builder of index generations has to do, as SQL knows it: what is behind, what is gone, how far it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import CodexError
from core.ids import DocumentId, GenerationId, TenantId
from stores.generations import Generation
from stores.sql.engine import Database
from stores.sql.models import (
    DocumentRow,
    DocumentStatus,
    GenerationDocumentRow,
    GenerationRow,
    GenerationState,
)

# Those that are kept in step with the documents.
_FOLLOWING = (
    GenerationState.BUILDING,
    GenerationState.READY,
    GenerationState.ACTIVE,
    GenerationState.STANDBY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A document of which a generation has not the revision that was indexed last, at `indexed_at`."""

    document_id: DocumentId
    revision: int
    indexed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationProgress:
    """How much of its tenant's documents a generation holds."""

    documents: int
    """Those that have been indexed at all."""
    indexed: int
    failed: int
    behind: int
    chunks: int


class GenerationWork:
    """Spans tenants, as a builder does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def behind(self, generation: Generation, *, limit: int) -> list[Behind]:
        """Return documents that the generation has to be given, those first that have waited longest."""
        query = (
            select(DocumentRow.id, DocumentRow.indexed_revision, DocumentRow.indexed_at)
            .outerjoin(GenerationDocumentRow, _held_by(generation.id))
            .where(*_of_tenant(generation.tenant_id), _lacking())
            .order_by(DocumentRow.indexed_at)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [
                Behind(document_id=DocumentId(document_id), revision=revision, indexed_at=indexed_at)
                for document_id, revision, indexed_at in await session.execute(query)
                if revision is not None and indexed_at is not None
            ]

    async def gone(self, generation: Generation, *, limit: int) -> list[DocumentId]:
        """Return deleted documents that the generation may still hold."""
        query = (
            select(DocumentRow.id)
            .join(GenerationDocumentRow, _held_by(generation.id))
            .where(DocumentRow.status == DocumentStatus.DELETED)
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [DocumentId(found) for found in await session.scalars(query)]

    async def following(self, tenant_id: TenantId | None = None) -> list[Generation]:
        """Return the generations to keep in step, of tenants that have had more than their first."""
        other = GenerationRow.__table__.alias()
        query = (
            select(GenerationRow)
            .where(
                GenerationRow.state.in_(_FOLLOWING),
                exists(select(other.c.id).where(other.c.tenant_id == GenerationRow.tenant_id, other.c.number > 1)),
            )
            .order_by(GenerationRow.tenant_id, GenerationRow.number)
        )
        if tenant_id is not None:
            query = query.where(GenerationRow.tenant_id == tenant_id)
        async with self._database.reading() as session:
            return [Generation.of(row) for row in await session.scalars(query)]

    async def begin(self, generation_id: GenerationId) -> None:
        """Say that a builder is at work on it."""
        await self._set(generation_id, {"worked_on_at": self._clock.now()})

    async def worked_on_since(self, moment: datetime) -> set[GenerationId]:
        """Return the generations that a builder has said to be at work on since `moment`."""
        query = select(GenerationRow.id).where(GenerationRow.worked_on_at >= moment)
        async with self._database.reading() as session:
            return {GenerationId(found) for found in await session.scalars(query)}

    async def end(self, generation_id: GenerationId, failure: CodexError | None = None) -> None:
        """Say that nobody is at work on it any more, and why it could not be finished."""
        await self._set(
            generation_id,
            {
                "worked_on_at": None,
                "error_code": failure.code if failure else None,
                "error_message": failure.message if failure else None,
            },
        )

    async def built(self, session: AsyncSession, generation_id: GenerationId) -> bool:
        """Make a generation that was being built ready, in `session`'s transaction; whether it was."""
        changed = await session.execute(
            update(GenerationRow)
            .where(GenerationRow.id == generation_id, GenerationRow.state == GenerationState.BUILDING)
            .values(state=GenerationState.READY, built_at=self._clock.now())
            .returning(GenerationRow.id)
            .execution_options(synchronize_session=False)
        )
        return changed.first() is not None

    async def evaluated(self, generation_id: GenerationId, evaluation: Mapping[str, Any]) -> None:
        """Keep how a generation answered the golden questions."""
        await self._set(generation_id, {"evaluation": dict(evaluation), "evaluated_at": self._clock.now()})

    async def evaluation(self, generation_id: GenerationId) -> Mapping[str, Any] | None:
        """Return how the generation answered the golden questions last, None if it was never asked them."""
        async with self._database.reading() as session:
            return await session.scalar(select(GenerationRow.evaluation).where(GenerationRow.id == generation_id))

    async def evaluations(self, tenant_id: TenantId) -> list[tuple[int, GenerationState, Mapping[str, Any]]]:
        """Return number, state and last evaluation of every generation that was ever measured, oldest first."""
        query = (
            select(GenerationRow.number, GenerationRow.state, GenerationRow.evaluation)
            .where(GenerationRow.tenant_id == tenant_id, GenerationRow.evaluated_at.is_not(None))
            .order_by(GenerationRow.number)
        )
        async with self._database.reading() as session:
            return [
                (number, GenerationState(state), found or {}) for number, state, found in await session.execute(query)
            ]

    async def progress(
        self, tenant_id: TenantId, ids: Sequence[GenerationId]
    ) -> dict[GenerationId, GenerationProgress]:
        """Return how far each of these generations of a tenant has come."""
        async with self._database.reading() as session:
            documents = await session.scalar(select(func.count(DocumentRow.id)).where(*_of_tenant(tenant_id))) or 0
            return {found: await _progress(session, tenant_id, found, documents) for found in ids}

    async def _set(self, generation_id: GenerationId, values: Mapping[str, Any]) -> None:
        async with self._database.transaction() as session:
            await session.execute(update(GenerationRow).where(GenerationRow.id == generation_id).values(**values))


async def _progress(
    session: AsyncSession, tenant_id: TenantId, generation_id: GenerationId, documents: int
) -> GenerationProgress:
    held: Select[int, int, int, int] = (
        select(
            func.count(GenerationDocumentRow.indexed_revision),
            func.count(GenerationDocumentRow.error_code),
            func.coalesce(func.sum(GenerationDocumentRow.chunk_count), 0),
            func.count(GenerationDocumentRow.document_id).filter(~_lacking()),
        )
        .join(DocumentRow, _held_by(generation_id))
        .where(*_of_tenant(tenant_id))
    )
    indexed, failed, chunks, current = (await session.execute(held)).one()
    return GenerationProgress(
        documents=documents, indexed=indexed, failed=failed, behind=documents - current, chunks=int(chunks)
    )


def _held_by(generation_id: GenerationId) -> ColumnElement[bool]:
    return and_(
        GenerationDocumentRow.document_id == DocumentRow.id, GenerationDocumentRow.generation_id == generation_id
    )


def _of_tenant(tenant_id: TenantId) -> list[ColumnElement[bool]]:
    return [
        DocumentRow.tenant_id == tenant_id,
        DocumentRow.status != DocumentStatus.DELETED,
        DocumentRow.indexed_revision.is_not(None),
        DocumentRow.indexed_at.is_not(None),
    ]


def _lacking() -> ColumnElement[bool]:
    return or_(
        GenerationDocumentRow.document_id.is_(None), GenerationDocumentRow.source_indexed_at < DocumentRow.indexed_at
    )
