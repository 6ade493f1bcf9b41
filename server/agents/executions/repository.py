"""Executions of one tenant, in SQL."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, literal, select, update
from sqlalchemy.orm import Session as Reader
from sqlalchemy.orm import Session as Writer
from sqlalchemy.orm import load_only

from core.ids import TenantId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, newest_first, slice_of
from stores.sql.models import (
    ExecutionEventRow,
    ExecutionRow,
    ExecutionSignalRow,
    ExecutionStepRow,
    ExecutionWaitRow,
    FlowRow,
    FlowVersionRow,
    StepState,
)
from stores.sql.repository import TenantRepository

_OPEN_STEPS = (StepState.RUNNING.value, StepState.WAITING.value)


class ExecutionRepository(TenantRepository):
    async def flow(self, flow_id: str) -> FlowRow | None:
        return await self._session.scalar(self.rows_of(FlowRow).where(FlowRow.id == flow_id))

    async def definition(self, flow_id: str, number: int) -> str | None:
        query = select(FlowVersionRow.definition).where(
            FlowVersionRow.tenant_id == self.tenant_id,
            FlowVersionRow.flow_id == flow_id,
            FlowVersionRow.number == number,
        )
        return await self._session.scalar(query)

    async def has_version(self, flow_id: str, number: int) -> bool:
        query = select(FlowVersionRow.number).where(
            FlowVersionRow.tenant_id == self.tenant_id,
            FlowVersionRow.flow_id == flow_id,
            FlowVersionRow.number == number,
        )
        return await self._session.scalar(query) is not None

    async def find(self, execution_id: str, *, to_change: bool = False) -> ExecutionRow | None:
        """`to_change` holds it until the transaction ends: no worker writes meanwhile."""
        query = self.rows_of(ExecutionRow).where(ExecutionRow.id == execution_id)
        return await self._session.scalar(query.with_for_update() if to_change else query)

    async def open_waits(self, execution_id: str) -> Sequence[ExecutionWaitRow]:
        query = self.rows_of(ExecutionWaitRow).where(
            ExecutionWaitRow.execution_id == execution_id, ExecutionWaitRow.answered_at.is_(None)
        )
        return list(await self._session.scalars(query.order_by(ExecutionWaitRow.requested_at, ExecutionWaitRow.path)))

    async def wait(self, execution_id: str, path: str) -> ExecutionWaitRow | None:
        query = self.rows_of(ExecutionWaitRow).where(
            ExecutionWaitRow.execution_id == execution_id, ExecutionWaitRow.path == path
        )
        return await self._session.scalar(query)

    async def waits_for_signal(self, execution_id: str, name: str) -> ExecutionWaitRow | None:
        query = self.rows_of(ExecutionWaitRow).where(
            ExecutionWaitRow.execution_id == execution_id,
            ExecutionWaitRow.kind == "signal",
            ExecutionWaitRow.name == name,
            ExecutionWaitRow.answered_at.is_(None),
        )
        return await self._session.scalar(query.order_by(ExecutionWaitRow.requested_at, ExecutionWaitRow.path).limit(1))

    async def steps(self, execution_id: str) -> Sequence[ExecutionStepRow]:
        query = self.rows_of(ExecutionStepRow).where(ExecutionStepRow.execution_id == execution_id)
        return list(await self._session.scalars(query.order_by(ExecutionStepRow.number)))

    async def end_open_steps(self, execution_id: str, now: datetime) -> None:
        """Leave no step running of an execution that is over."""
        await self._session.execute(
            update(ExecutionStepRow)
            .where(ExecutionStepRow.execution_id == execution_id, ExecutionStepRow.state.in_(_OPEN_STEPS))
            .values(state=StepState.CANCELLED.value, finished_at=now)
            .execution_options(synchronize_session=False)
        )

    async def add(self, row: ExecutionRow | ExecutionEventRow | ExecutionSignalRow | ExecutionStepRow) -> None:
        self._session.add(row)
        await self._session.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """Which version of a flow is to run, and whether there is such a one."""

    number: int
    has_version: bool
    is_archived: bool


def runnable(session: Writer, tenant_id: TenantId, flow_id: str, wanted: int | None) -> Runnable | None:
    """Return what `wanted` means of a flow in one query. None: the published version.

    A flow that was never published runs as it was last written, so that it can be tried out.
    """
    number = literal(wanted) if wanted is not None else func.coalesce(FlowRow.published_number, FlowRow.latest_number)
    versions = and_(FlowVersionRow.flow_id == FlowRow.id, FlowVersionRow.number == number)
    query = (
        select(FlowRow.status, number.label("wanted"), FlowVersionRow.number)
        .outerjoin(FlowVersionRow, versions)
        .where(FlowRow.id == flow_id, FlowRow.tenant_id == tenant_id)
    )
    row = session.execute(query).one_or_none()
    return row and Runnable(number=row.wanted, has_version=row.number is not None, is_archived=row.status == "archived")


def accept(session: Writer, row: ExecutionRow) -> None:
    session.add(row)
    session.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """An execution, what it waits for, and of a fork that is over what it and its original did."""

    row: ExecutionRow
    waits: Sequence[ExecutionWaitRow] = ()
    steps: Sequence[ExecutionStepRow] = ()
    original_steps: Sequence[ExecutionStepRow] = ()


def whole_of(tenant_id: TenantId, execution_id: str) -> Callable[[Reader], Whole | None]:
    """Return what reads one execution, in one moment and one change of threads."""

    def read(session: Reader) -> Whole | None:
        row = session.scalar(
            select(ExecutionRow).where(ExecutionRow.id == execution_id, ExecutionRow.tenant_id == tenant_id)
        )
        if row is None:
            return None
        if row.state not in _OVER:
            wait = ExecutionWaitRow
            waits = select(wait).where(wait.execution_id == execution_id, wait.answered_at.is_(None))
            return Whole(row=row, waits=session.scalars(waits.order_by(wait.requested_at, wait.path)).all())
        if row.forked_from_id is None:
            return Whole(row=row)
        steps, original = (
            session.scalars(
                select(ExecutionStepRow)
                .where(ExecutionStepRow.tenant_id == tenant_id, ExecutionStepRow.execution_id == whose)
                .order_by(ExecutionStepRow.number)
            ).all()
            for whose in (row.id, row.forked_from_id)
        )
        return Whole(row=row, steps=steps, original_steps=original)

    return read


def over_of(session: Reader, execution_ids: Collection[str]) -> set[str]:
    """Return which of these are over, or are not there any more. Whoever asks has made sure whose they are."""
    query = select(ExecutionRow.id).where(ExecutionRow.id.in_(execution_ids), ExecutionRow.state.not_in(_OVER))
    return set(execution_ids) - set(session.scalars(query))


_OVER = ("completed", "failed", "cancelled", "expired", "budget_exhausted")
_LISTED = (
    ExecutionRow.id,
    ExecutionRow.tenant_id,
    ExecutionRow.flow_id,
    ExecutionRow.flow_version,
    ExecutionRow.state,
    ExecutionRow.mode,
    ExecutionRow.usage,
    ExecutionRow.created_at,
    ExecutionRow.started_at,
    ExecutionRow.finished_at,
)


def page_of(
    tenant_id: TenantId,
    *,
    place: Place,
    limit: int,
    flow_id: str | None,
    status: str | None,
    created_since: datetime | None,
    created_until: datetime | None,
) -> Callable[[Reader], Slice[ExecutionRow]]:
    """Return what reads one page of a tenant's executions, newest first, without their inputs and results."""
    matching = select(ExecutionRow).where(ExecutionRow.tenant_id == tenant_id)
    if flow_id is not None:
        matching = matching.where(ExecutionRow.flow_id == flow_id)
    if status is not None:
        matching = matching.where(ExecutionRow.state == status)
    if created_since is not None:
        matching = matching.where(ExecutionRow.created_at >= created_since)
    if created_until is not None:
        matching = matching.where(ExecutionRow.created_at < created_until)
    page = newest_first(
        matching, ExecutionRow.created_at, ExecutionRow.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(matching, page.options(load_only(*_LISTED)), limit=limit)


def steps_of(
    tenant_id: TenantId, execution_id: str, *, place: Place, limit: int
) -> Callable[[Reader], Slice[ExecutionStepRow]]:
    """Return what reads one page of an execution's steps, in the order in which they began."""
    matching = select(ExecutionStepRow).where(
        ExecutionStepRow.tenant_id == tenant_id, ExecutionStepRow.execution_id == execution_id
    )
    page = matching
    if place.after is not None:
        page = page.where(ExecutionStepRow.number > int(place.after[1]))
    page = page.order_by(ExecutionStepRow.number).offset(place.offset).limit(limit + 1)

    def read(session: Reader) -> Slice[ExecutionStepRow]:
        count = select(func.count()).select_from(matching.subquery())
        return Slice.of(list(session.scalars(page)), limit=limit, total=session.scalar(count) or 0)

    return read
