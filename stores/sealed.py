"""Columns that hold bytes sealed under a root key, whatever they are for: counted, and put under another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from stores.sql.models import Base


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """Where sealed bytes lie, what for, and the columns that say in which place: their values, with colons between."""

    table: str
    column: str
    purpose: str
    place: Sequence[str]

    @property
    def _table(self) -> Table:
        return Base.metadata.tables[self.table]

    @property
    def _sealed(self) -> ColumnElement[Any]:
        return self._table.c[self.column]

    @property
    def _id(self) -> ColumnElement[Any]:
        [only] = self._table.primary_key.columns
        return only

    def _prefix(self, length: int) -> ColumnElement[bytes]:
        return func.substr(self._sealed, 1, length, type_=LargeBinary)

    async def without(
        self, session: AsyncSession, prefix: bytes, *, after: str, limit: int
    ) -> Sequence[tuple[str, str, bytes]]:
        """Return id, place and bytes of rows that do not begin with `prefix`, by id from behind one."""
        query = (
            select(self._id, self._sealed, *(self._table.c[name] for name in self.place))
            .where(self._sealed.is_not(None), self._prefix(len(prefix)) != prefix, self._id > after)
            .order_by(self._id)
            .limit(limit)
        )
        return [(row[0], ":".join(row[2:]), row[1]) for row in await session.execute(query)]

    async def replace(self, session: AsyncSession, row_id: str, old: bytes, new: bytes) -> bool:
        """Put `new` in the place of `old`; whether that still was there."""
        query = update(self._table).where(self._id == row_id, self._sealed == old).values({self.column: new})
        return bool((await session.execute(query)).rowcount)  # type: ignore[attr-defined]

    async def count_by_prefix(self, session: AsyncSession, length: int) -> dict[bytes, int]:
        """Return how many rows begin with which bytes."""
        prefix = cast(self._prefix(length), LargeBinary)
        query = select(prefix, func.count()).where(self._sealed.is_not(None)).group_by(prefix)
        return {bytes(row[0]): row[1] for row in await session.execute(query)}
