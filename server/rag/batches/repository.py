"""Many documents of one tenant in few statements. Found rows are held until the transaction ends."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from core.ids import DocumentId
from stores.sql.models import DocumentRow, DocumentStatus
from stores.sql.repository import TenantRepository

Name = tuple[str, str]
"""A collection and an external id in it."""

Item = TypeVar("Item")
# Parameters of one statement; far below what any backend takes.
_AT_ONCE = 400


class BatchRepository(TenantRepository):
    def _living(self) -> Select[DocumentRow]:
        return self.rows_of(DocumentRow).where(DocumentRow.status != DocumentStatus.DELETED)

    async def named(self, names: Iterable[Name]) -> dict[Name, DocumentRow]:
        """Return the living documents of these names."""
        found: dict[Name, DocumentRow] = {}
        key = tuple_(DocumentRow.collection, DocumentRow.external_id)
        for some in _in_slices(sorted(set(names))):
            rows = await self._session.scalars(_held(self._living().where(key.in_(some))))
            found |= {(row.collection, row.external_id or ""): row for row in rows}
        return found

    async def add(self, rows: Sequence[DocumentRow]) -> bool:
        """Write new documents; False, and nothing, if another request has just made one of that name."""
        try:
            async with self._session.begin_nested():
                self._session.add_all(rows)
        except IntegrityError:
            return False
        return True

    async def by_id(self, document_ids: Sequence[DocumentId]) -> dict[str, DocumentRow]:
        """Return the living documents among these."""
        found: dict[str, DocumentRow] = {}
        for some in _in_slices(sorted(set(document_ids))):
            rows = await self._session.scalars(_held(self._living().where(DocumentRow.id.in_(some))))
            found |= {row.id: row for row in rows}
        return found

    async def matching(self, wanted: Mapping[str, Any], *, after: str | None, limit: int) -> list[DocumentRow]:
        """Return living documents that are all of `wanted`, in order of their ids from behind `after`."""
        query = _filtered(self._living(), wanted)
        if after is not None:
            query = query.where(DocumentRow.id > after)
        return list(await self._session.scalars(_held(query).limit(limit)))

    async def count(self, wanted: Mapping[str, Any]) -> int:
        counted = select(func.count()).select_from(_filtered(self._living(), wanted).subquery())
        return await self._session.scalar(counted) or 0


def _held(query: Select[DocumentRow]) -> Select[DocumentRow]:
    # In one order for everybody: two batches with the same documents wait for each other and never in a circle.
    return query.order_by(DocumentRow.id).with_for_update()


def _filtered(query: Select[DocumentRow], wanted: Mapping[str, Any]) -> Select[DocumentRow]:
    for name in ("collection", "status", "source_type"):
        if wanted.get(name) is not None:
            query = query.where(DocumentRow.__table__.c[name] == wanted[name])
    if wanted.get("search") is not None:
        text = wanted["search"]
        found = (column.icontains(text, autoescape=True) for column in (DocumentRow.source, DocumentRow.external_id))
        query = query.where(or_(*found))
    return query


def _in_slices(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))
