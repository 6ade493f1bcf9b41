"""Read lists in the order their rows were made, page by page, so that rows made meanwhile shift nothing."""

from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute

Rows = TypeVar("Rows", bound=Select[*tuple[Any, ...]])


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
