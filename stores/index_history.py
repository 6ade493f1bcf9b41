"""What an index was: its generations by number, its tags, and which generation answered at which time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from core.ids import TenantId
from stores.generations import Generation
from stores.sql.engine import Database
from stores.sql.models import GenerationRow, GenerationState, IndexMoveRow, IndexTagRow


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedVersion:
    name: str
    generation: Generation
    version: int
    created_at: datetime


class IndexHistory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def numbered(self, tenant_id: TenantId, number: int) -> Generation | None:
        """Return the tenant's generation of this number."""
        query = select(GenerationRow).where(GenerationRow.tenant_id == tenant_id, GenerationRow.number == number)
        async with self._database.reading() as session:
            row = await session.scalar(query)
            return None if row is None else Generation.of(row)

    async def tagged(self, tenant_id: TenantId, name: str) -> TaggedVersion | None:
        """Return what the tenant's tag of this name stands for."""
        return next((tag for tag in await self.tags(tenant_id) if tag.name == name), None)

    async def tags(self, tenant_id: TenantId) -> Sequence[TaggedVersion]:
        """Return the tenant's tags, by name."""
        query = (
            select(IndexTagRow, GenerationRow)
            .join(GenerationRow, GenerationRow.id == IndexTagRow.generation_id)
            .where(IndexTagRow.tenant_id == tenant_id)
            .order_by(IndexTagRow.name)
        )
        async with self._database.reading() as session:
            return [
                TaggedVersion(
                    name=tag.name, generation=Generation.of(row), version=tag.version, created_at=tag.created_at
                )
                for tag, row in await session.execute(query)
            ]

    async def answering_at(self, tenant_id: TenantId, moment: datetime) -> Generation | None:
        """Return the generation that answered at `moment`; the first one for times before it was known as such."""
        moves = (
            select(GenerationRow)
            .join(IndexMoveRow, IndexMoveRow.generation_id == GenerationRow.id)
            .where(IndexMoveRow.tenant_id == tenant_id)
        )
        latest = moves.where(IndexMoveRow.moved_at <= moment).order_by(IndexMoveRow.sequence.desc()).limit(1)
        async with self._database.reading() as session:
            row = await session.scalar(latest) or await session.scalar(moves.order_by(IndexMoveRow.sequence).limit(1))
            return None if row is None else Generation.of(row)

    async def retired(self) -> Sequence[Generation]:
        """Return the generations of all tenants that should have no table any more."""
        query = select(GenerationRow).where(GenerationRow.state == GenerationState.RETIRED)
        async with self._database.reading() as session:
            return [Generation.of(row) for row in await session.scalars(query)]
