"""Read lists in the order their rows were made, page by page, so that rows made meanwhile shift nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Self, TypeVar, overload

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

Rows = TypeVar("Rows", bound=Select[*tuple[Any, ...]])
Row = TypeVar("Row")
First = TypeVar("First")
Second = TypeVar("Second")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Generic[Row]):
    """One page of rows, and what else there is."""

    rows: Sequence[Row]
    total: int
    more: bool

    @classmethod
    def of(cls, rows: Sequence[Row], *, limit: int, total: int) -> Self:
        """`rows` has one more than `limit` where the list goes on."""
        return cls(rows=rows[:limit], total=total, more=len(rows) > limit)


@overload
def slice_of(matching: Select[First], page: Select[First], *, limit: int) -> Callable[[Session], Slice[First]]: ...
@overload
def slice_of(
    matching: Select[First, Second], page: Select[First, Second], *, limit: int
) -> Callable[[Session], Slice[tuple[First, Second]]]: ...
def slice_of(matching: Any, page: Any, *, limit: int) -> Callable[[Session], Slice[Any]]:
    """Return what reads `page`, which asks for one row more than `limit`, and counts all that is `matching`."""
    count = select(func.count()).select_from(matching.subquery())

    def read(session: Session) -> Slice[Any]:
        rows = session.execute(page).all()
        found = [row[0] if len(row) == 1 else tuple(row) for row in rows]
        return Slice.of(found, limit=limit, total=session.scalar(count) or 0)

    return read


def newest_first(
    query: Rows,
    created_at: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[str],
    *,
    after: tuple[datetime, str] | None,
    offset: int,
    limit: int,
) -> Rows:
    """Return `query` in order, from behind the row `after`, or from `offset` where there is none."""
    if after is not None:
        time, last_id = after
        # The first half is implied by the second, and is what an index can begin at.
        query = query.where(created_at <= time, or_(created_at < time, and_(created_at == time, row_id < last_id)))
    return query.order_by(created_at.desc(), row_id.desc()).offset(offset).limit(limit)


def oldest_first(
    query: Rows,
    created_at: InstrumentedAttribute[datetime],
    row_id: InstrumentedAttribute[str],
    *,
    after: tuple[datetime, str] | None,
    offset: int,
    limit: int,
) -> Rows:
    """Return `query` in the other order, from behind the row `after`, or from `offset` where there is none."""
    if after is not None:
        time, last_id = after
        query = query.where(created_at >= time, or_(created_at > time, and_(created_at == time, row_id > last_id)))
    return query.order_by(created_at, row_id).offset(offset).limit(limit)
