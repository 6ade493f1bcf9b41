"""Schedules of flows, and what became of each time that one was due, in SQL."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import and_, delete, exists, func, select
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId
from server.openapi.pagination import Place
from stores.sql.engine import Session
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import ExecutionRow, FlowRow, FlowScheduleRow, FlowScheduleRunRow
from stores.sql.repository import TenantRepository

_UNDER_WAY = ("queued", "running", "waiting")


class ScheduleRepository(TenantRepository):
    async def flow(self, flow_id: str) -> FlowRow | None:
        """Return the flow and hold its row: schedules are made one after another."""
        return await self._session.scalar(self.rows_of(FlowRow).where(FlowRow.id == flow_id).with_for_update())

    async def find(self, flow_id: str, schedule_id: str, *, to_change: bool = False) -> FlowScheduleRow | None:
        query = self.rows_of(FlowScheduleRow).where(
            FlowScheduleRow.id == schedule_id, FlowScheduleRow.flow_id == flow_id
        )
        return await self._session.scalar(query.with_for_update() if to_change else query)

    async def named(self, flow_id: str, name: str) -> FlowScheduleRow | None:
        query = self.rows_of(FlowScheduleRow).where(FlowScheduleRow.flow_id == flow_id, FlowScheduleRow.name == name)
        return await self._session.scalar(query)

    async def count(self, flow_id: str) -> int:
        query = select(func.count()).where(
            FlowScheduleRow.tenant_id == self.tenant_id, FlowScheduleRow.flow_id == flow_id
        )
        return await self._session.scalar(query) or 0

    async def under_way(self, schedule_id: str) -> Sequence[str]:
        """Return the ids of what the schedule began and is not over."""
        query = select(ExecutionRow.id).where(
            ExecutionRow.tenant_id == self.tenant_id,
            ExecutionRow.schedule_id == schedule_id,
            ExecutionRow.state.in_(_UNDER_WAY),
        )
        return list(await self._session.scalars(query))

    async def waiting_run(self, schedule_id: str) -> FlowScheduleRunRow | None:
        query = self.rows_of(FlowScheduleRunRow).where(
            FlowScheduleRunRow.schedule_id == schedule_id, FlowScheduleRunRow.outcome == "queued"
        )
        return await self._session.scalar(query.order_by(FlowScheduleRunRow.due_at).limit(1))

    async def forget_runs(self, schedule_id: str, before: datetime) -> None:
        await self._session.execute(
            delete(FlowScheduleRunRow).where(
                FlowScheduleRunRow.schedule_id == schedule_id,
                FlowScheduleRunRow.due_at < before,
                FlowScheduleRunRow.outcome != "queued",
            )
        )

    async def add(self, row: FlowScheduleRow | FlowScheduleRunRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: FlowScheduleRow) -> None:
        await self._session.delete(row)
        await self._session.flush()


def to_look_at(now: datetime, *, limit: int) -> Callable[[Reader], Sequence[str]]:
    """Return what reads which schedules are due, or have a time waiting whose turn has come, the longest due first."""
    open_execution = exists().where(
        ExecutionRow.schedule_id == FlowScheduleRow.id,
        ExecutionRow.tenant_id == FlowScheduleRow.tenant_id,
        ExecutionRow.state.in_(_UNDER_WAY),
    )
    due = select(FlowScheduleRow.id).where(FlowScheduleRow.next_at <= now).order_by(FlowScheduleRow.next_at)
    waiting = (
        select(FlowScheduleRow.id)
        .join(
            FlowScheduleRunRow,
            and_(FlowScheduleRunRow.schedule_id == FlowScheduleRow.id, FlowScheduleRunRow.outcome == "queued"),
        )
        .where(~open_execution)
        .order_by(FlowScheduleRunRow.due_at)
    )

    def read(session: Reader) -> Sequence[str]:
        found = [*session.scalars(due.limit(limit)), *session.scalars(waiting.limit(limit))]
        return list(dict.fromkeys(found))

    return read


async def held(session: Session, schedule_id: str) -> FlowScheduleRow | None:
    """Return the schedule and hold it, unless another process does: then that one sees to it."""
    query = select(FlowScheduleRow).where(FlowScheduleRow.id == schedule_id)
    return await session.scalar(query.with_for_update(skip_locked=True).execution_options(populate_existing=True))


def page_of(
    tenant_id: TenantId, flow_id: str, *, place: Place, limit: int
) -> Callable[[Reader], Slice[FlowScheduleRow]]:
    row = FlowScheduleRow
    matching = select(row).where(row.tenant_id == tenant_id, row.flow_id == flow_id)
    page = newest_first(matching, row.created_at, row.id, after=place.after, offset=place.offset, limit=limit + 1)
    return slice_of(matching, page, limit=limit)


def runs_of(
    tenant_id: TenantId, schedule_id: str, *, place: Place, limit: int
) -> Callable[[Reader], Slice[FlowScheduleRunRow]]:
    row = FlowScheduleRunRow
    matching = select(row).where(row.tenant_id == tenant_id, row.schedule_id == schedule_id)
    page = newest_first(matching, row.due_at, row.schedule_id, after=place.after, offset=place.offset, limit=limit + 1)
    return slice_of(matching, page, limit=limit)
