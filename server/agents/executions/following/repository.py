"""What executions told, in SQL: a page of one, and the news of many at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId
from server.agents.executions.following.told import Told
from stores.sql.models import ExecutionEventRow, ExecutionRow, ExecutionState

_OVER = frozenset(
    {
        ExecutionState.COMPLETED,
        ExecutionState.FAILED,
        ExecutionState.CANCELLED,
        ExecutionState.EXPIRED,
        ExecutionState.BUDGET_EXHAUSTED,
    }
)
_TOLD = (
    ExecutionEventRow.execution_id,
    ExecutionEventRow.seq,
    ExecutionEventRow.type,
    ExecutionEventRow.data,
    ExecutionEventRow.at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an execution stood when its events were read."""

    state: str
    last_seq: int

    @property
    def is_over(self) -> bool:
        return self.state in _OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """`standing` None: the execution is not there, or not there any more. `more`: not all of it was read."""

    standing: Standing | None
    events: Sequence[Told] = ()
    more: bool = False


def page_of(tenant_id: TenantId, execution_id: str, *, after: int, limit: int) -> Callable[[Reader], News]:
    """Return what reads up to `limit` events behind `after`, without a gap, and how the execution stands then."""

    def read(session: Reader) -> News:
        standing = session.execute(
            select(ExecutionRow.state, ExecutionRow.last_seq).where(
                ExecutionRow.id == execution_id, ExecutionRow.tenant_id == tenant_id
            )
        ).first()
        if standing is None:
            return News(standing=None)
        rows = session.execute(
            select(*_TOLD)
            .where(ExecutionEventRow.execution_id == execution_id, ExecutionEventRow.seq > after)
            .order_by(ExecutionEventRow.seq)
            .limit(limit + 1)
        ).all()
        events = _without_gap([_told(row) for row in rows[:limit]], after)
        return News(standing=Standing(state=standing[0], last_seq=standing[1]), events=events, more=len(rows) > limit)

    return read


def news_of(heads: Mapping[str, int], *, limit: int) -> Callable[[Reader], Mapping[str, News]]:
    """Return what reads how executions stand, and the events behind the number of each: two queries for all.

    Whoever asks has made sure whose they are.
    """

    def read(session: Reader) -> Mapping[str, News]:
        ids = list(heads)
        query = select(ExecutionRow.id, ExecutionRow.state, ExecutionRow.last_seq).where(ExecutionRow.id.in_(ids))
        standing = {row[0]: Standing(state=row[1], last_seq=row[2]) for row in session.execute(query)}
        ready = {each: heads[each] for each in ids if each in standing and standing[each].last_seq > heads[each]}
        events: dict[str, list[Told]] = {}
        rows = _events_behind(session, ready, limit)
        for row in rows:
            events.setdefault(row[0], []).append(_told(row))
        cut = len(rows) == limit
        return {
            each: News(
                standing=standing.get(each),
                events=_without_gap(events.get(each, []), heads[each]),
                more=cut and each in ready and (each not in events or each == rows[-1][0]),
            )
            for each in ids
        }

    return read


def _events_behind(session: Reader, heads: Mapping[str, int], limit: int) -> Sequence[Any]:
    if not heads:
        return []
    pairs = list(heads.items())
    # As many as a power of two, the last one again and again: few statements are compiled and kept.
    pairs += [pairs[-1]] * ((1 << (len(pairs) - 1).bit_length()) - len(pairs))
    behind = or_(*(and_(ExecutionEventRow.execution_id == each, ExecutionEventRow.seq > head) for each, head in pairs))
    query = select(*_TOLD).where(behind).order_by(ExecutionEventRow.execution_id, ExecutionEventRow.seq)
    return session.execute(query.limit(limit)).all()


def _without_gap(events: Sequence[Told], after: int) -> list[Told]:
    """Return those up to the first number that is missing: what is behind it waits until that is there."""
    return [event for number, event in enumerate(events, after + 1) if event.seq == number]


def _told(row: Any) -> Told:
    return Told(execution_id=row[0], seq=row[1], type=row[2], data=row[3], at=row[4])
