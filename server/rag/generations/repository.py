"""A tenant's generations, pointer and tags, in SQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update

from core.ids import GenerationId
from stores.generations import Space
from stores.sql.models import (
    GenerationDocumentRow,
    GenerationRow,
    GenerationState,
    IndexMoveRow,
    IndexPointerRow,
    IndexTagRow,
)
from stores.sql.repository import TenantRepository

_LISTED = 100


class GenerationRepository(TenantRepository):
    """Whoever changes something holds the tenant's pointer first: changes of one tenant take turns."""

    async def pointer(self) -> IndexPointerRow | None:
        return await self._session.scalar(self.rows_of(IndexPointerRow))

    async def held_pointer(self) -> IndexPointerRow | None:
        return await self._session.scalar(self.rows_of(IndexPointerRow).with_for_update())

    async def find(self, generation_id: str) -> GenerationRow | None:
        query = self.rows_of(GenerationRow).where(GenerationRow.id == generation_id)
        return await self._session.scalar(query.execution_options(populate_existing=True))

    async def newest(self) -> Sequence[GenerationRow]:
        query = self.rows_of(GenerationRow).order_by(GenerationRow.number.desc()).limit(_LISTED)
        return list(await self._session.scalars(query))

    async def count_with_table(self) -> int:
        kept = self.rows_of(GenerationRow).where(GenerationRow.state != GenerationState.RETIRED)
        return await self._session.scalar(select(func.count()).select_from(kept.subquery())) or 0

    async def add(
        self,
        generation_id: GenerationId,
        space: Space,
        *,
        chunking: Mapping[str, Any] | None,
        created_by: str,
        now: datetime,
    ) -> GenerationRow:
        numbers = self.rows_of(GenerationRow).with_only_columns(func.max(GenerationRow.number))
        number = (await self._session.scalar(numbers) or 0) + 1
        row = GenerationRow(
            id=generation_id,
            tenant_id=self.tenant_id,
            number=number,
            state=GenerationState.BUILDING,
            embedder=space.embedder,
            space=space.space,
            dimensions=space.dimensions,
            table_space=f"{space.space}-g{number}",
            chunking=None if chunking is None else dict(chunking),
            created_by=created_by,
            created_at=now,
        )
        self._session.add(row)
        await self._session.flush()
        return row

    async def move(
        self,
        pointer: IndexPointerRow,
        target: GenerationRow,
        *,
        moved_by: str,
        forced: bool,
        reason: str | None,
        now: datetime,
    ) -> None:
        """Let `target` answer from the end of this transaction on."""
        await self._session.execute(
            update(GenerationRow)
            .where(GenerationRow.id == pointer.generation_id)
            .values(state=GenerationState.STANDBY)
            .execution_options(synchronize_session="fetch")
        )
        target.state = GenerationState.ACTIVE
        pointer.previous_id, pointer.generation_id = pointer.generation_id, target.id
        pointer.sequence += 1
        self._session.add(
            IndexMoveRow(
                tenant_id=self.tenant_id,
                sequence=pointer.sequence,
                generation_id=target.id,
                moved_at=now,
                moved_by=moved_by,
                forced=forced,
                reason=reason,
            )
        )
        await self._session.flush()

    async def retire(self, pointer: IndexPointerRow, row: GenerationRow, *, now: datetime) -> None:
        """Let go of what the generation holds; its table is the caller's to drop after the commit."""
        row.state, row.retired_at = GenerationState.RETIRED, now
        if pointer.previous_id == row.id:
            pointer.previous_id = None
        await self._session.execute(delete(GenerationDocumentRow).where(GenerationDocumentRow.generation_id == row.id))
        await self._session.flush()

    async def tags_of(self, generation_id: str) -> list[str]:
        query = self.rows_of(IndexTagRow).where(IndexTagRow.generation_id == generation_id)
        return [row.name for row in await self._session.scalars(query.order_by(IndexTagRow.name))]
