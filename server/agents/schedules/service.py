"""Schedules are kept, and each time that one is due is decided once: by a row that only one process can write."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.clock import Clock
from core.errors import ApiError, Conflict, ResourceNotFound, ServiceUnavailable, ValidationFailed
from core.ids import ApiKeyId, IdSource, TenantId, UserId, is_uuid
from core.log import get_logger
from server.agents.executions.service import ExecutionService, NewExecution
from server.agents.flows.service import FlowService
from server.agents.schedules.repository import ScheduleRepository, held, page_of, runs_of, to_look_at
from server.agents.schedules.schemas import (
    MICROS,
    Outcome,
    RunPage,
    RunsQuery,
    RunView,
    ScheduleBody,
    ScheduleChange,
    ScheduleDeleted,
    ScheduleItem,
    SchedulePage,
    SchedulesQuery,
    ScheduleView,
)
from server.agents.schedules.timing import next_time
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from server.openapi.preconditions import demand
from stores.audit import AuditLog
from stores.sql.engine import Database, Session
from stores.sql.models import FlowScheduleRow, FlowScheduleRunRow

log = get_logger()

_MOST_OF_A_FLOW = 100
_AT_ONCE = 100
_RUNS_KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleService:
    """One a process; any number may decide side by side."""

    database: Database
    flows: FlowService
    executions: ExecutionService
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    cursors: Cursors

    async def create(self, owner: Principal, flow_id: str, body: ScheduleBody) -> ScheduleView:
        """Raises ResourceNotFound, as does every method of one flow or schedule, Conflict, ValidationFailed."""
        now = self.clock.now()
        row = FlowScheduleRow(
            id=self.new_id(),
            tenant_id=owner.tenant_id,
            flow_id=flow_id,
            name=body.name,
            cron=body.cron,
            timezone=body.timezone,
            overlap=body.overlap,
            flow_version=body.flow_version,
            input=json.dumps(body.input),
            max_cost_micros=_micros(body.max_cost),
            paused=body.paused,
            version=1,
            created_by=owner.subject,
            created_at=now,
            updated_at=now,
        )
        row.next_at = _next_of(row, now)
        await self.flows.get(owner, flow_id, body.flow_version)
        async with self.database.transaction() as session:
            repository = ScheduleRepository(session, owner.tenant_id)
            if await repository.flow(flow_id) is None:
                raise ResourceNotFound("flow", flow_id)
            await _refuse_same_name(repository, flow_id, row.name)
            if await repository.count(flow_id) >= _MOST_OF_A_FLOW:
                raise Conflict(f"A flow has up to {_MOST_OF_A_FLOW} schedules.")
            await repository.add(row)
            await self._log(session, owner, "created", row)
        return await self._view(owner, row)

    async def page(self, owner: Principal, flow_id: str, query: SchedulesQuery) -> SchedulePage:
        await self.flows.get(owner, flow_id)
        scope = {"tenant_id": owner.tenant_id, "listing": f"schedules/{flow_id}"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(page_of(owner.tenant_id, flow_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        return SchedulePage(
            items=[ScheduleItem.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def get(self, owner: Principal, flow_id: str, schedule_id: str) -> ScheduleView:
        async with self.database.reading() as session:
            row = await _found(ScheduleRepository(session, owner.tenant_id), flow_id, schedule_id)
        return await self._view(owner, row)

    async def change(
        self,
        owner: Principal,
        flow_id: str,
        schedule_id: str,
        asked: ScheduleChange,
        *,
        expected: frozenset[str] | None,
    ) -> ScheduleView:
        """Raises Conflict, PreconditionFailed, ValidationFailed."""
        given = asked.model_fields_set
        if "flow_version" in given:
            await self.flows.get(owner, flow_id, asked.flow_version)
        async with self.database.transaction() as session:
            repository = ScheduleRepository(session, owner.tenant_id)
            await repository.flow(flow_id)
            row = await _found(repository, flow_id, schedule_id, to_change=True)
            demand(row.version, expected)
            if "name" in given and asked.name != row.name:
                await _refuse_same_name(repository, flow_id, asked.name)
            for name in given - {"input", "max_cost"}:
                setattr(row, name, getattr(asked, name))
            if "input" in given:
                row.input = json.dumps(asked.input)
            if "max_cost" in given:
                row.max_cost_micros = _micros(asked.max_cost)
            now = self.clock.now()
            if given & {"cron", "timezone", "paused"}:
                row.next_at = _next_of(row, now)
            row.version, row.updated_at = row.version + 1, now
            await self._log(session, owner, "changed", row, changed=sorted(given))
        return await self._view(owner, row)

    async def delete(self, owner: Principal, flow_id: str, schedule_id: str) -> ScheduleDeleted:
        async with self.database.transaction() as session:
            repository = ScheduleRepository(session, owner.tenant_id)
            row = await _found(repository, flow_id, schedule_id, to_change=True)
            await self._log(session, owner, "deleted", row)
            await repository.remove(row)
        return ScheduleDeleted(schedule_id=schedule_id)

    async def runs(self, owner: Principal, flow_id: str, schedule_id: str, query: RunsQuery) -> RunPage:
        async with self.database.reading() as session:
            await _found(ScheduleRepository(session, owner.tenant_id), flow_id, schedule_id)
        scope = {"tenant_id": owner.tenant_id, "listing": f"schedule-runs/{schedule_id}"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(runs_of(owner.tenant_id, schedule_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        return RunPage(
            items=[RunView.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.due_at, schedule_id), **scope),
        )

    async def decide_all(self) -> int:
        """Decide every time that is due, and begin what waited for its turn; return how many were decided."""
        decided = 0
        for schedule_id in await self.database.read(to_look_at(self.clock.now(), limit=_AT_ONCE)):
            try:
                decided += await self._decide(schedule_id, refusal=None)
            except ServiceUnavailable:
                raise
            except ApiError as error:  # it was undone with all that it was part of: the time is still to be decided
                decided += await self._decide(schedule_id, refusal=error.message)
        return decided

    async def _decide(self, schedule_id: str, *, refusal: str | None) -> int:
        """Decide one schedule's time in one transaction: that it was due, what came of it, and when it is due next."""
        async with self.database.unit_of_work() as work:
            async with self.database.transaction() as session:
                row = await held(session, schedule_id)
                decided = 0 if row is None else await self._decide_held(session, row, refusal)
            await work.commit()
        return decided

    async def _decide_held(self, session: Session, row: FlowScheduleRow, refusal: str | None) -> int:
        now, repository = self.clock.now(), ScheduleRepository(session, _owner_of(row).tenant_id)
        waiting = await repository.waiting_run(row.id)
        under_way = await repository.under_way(row.id)
        decided = 0
        if waiting is not None and not under_way:
            waiting.outcome, waiting.execution_id, waiting.problem = await self._begin(row, refusal)
            row.last_problem, waiting, decided = waiting.problem, None, 1
            under_way = await repository.under_way(row.id)
        due = row.next_at
        if due is None or due > now:
            return decided
        outcome: Outcome
        execution_id = problem = None
        if under_way and row.overlap == "skip":
            outcome, problem = "skipped", "The execution before was not over."
        elif under_way and row.overlap == "queue":
            outcome, problem = ("skipped", "Another time is waiting already.") if waiting else ("queued", None)
        else:
            if under_way and refusal is None:
                for execution_id in under_way:
                    await self.executions.cancel(_owner_of(row), execution_id)
            outcome, execution_id, problem = await self._begin(row, refusal)
        run = FlowScheduleRunRow(
            schedule_id=row.id,
            due_at=due,
            tenant_id=row.tenant_id,
            outcome=outcome,
            execution_id=execution_id,
            problem=problem,
            decided_at=now,
        )
        await repository.add(run)
        await repository.forget_runs(row.id, now - _RUNS_KEPT_FOR)
        # From now on, not from when it was due: what was missed meanwhile is made up for by this one.
        row.next_at, row.last_at, row.last_problem = _next_of(row, now), due, problem
        return decided + 1

    async def _begin(self, row: FlowScheduleRow, refusal: str | None) -> tuple[Outcome, str | None, str | None]:
        owner = _owner_of(row)
        if refusal is None:
            missing = await self.flows.missing(owner, row.flow_id, row.flow_version, at=self.clock.now())
            refusal = f"{missing[0].message} ({missing[0].pointer})" if missing else None
        if refusal is not None:
            log.warning("schedule.refused", schedule=row.id, tenant=row.tenant_id)
            return "refused", None, refusal
        asked = NewExecution(
            flow_id=row.flow_id,
            version=row.flow_version,
            input=json.loads(row.input),
            mode="schedule",
            max_cost_micros=row.max_cost_micros,
            schedule_id=row.id,
        )
        return "started", (await self.executions.start(owner, asked)).execution_id, None

    async def _view(self, owner: Principal, row: FlowScheduleRow) -> ScheduleView:
        now = self.clock.now()
        problems = await self.flows.missing(owner, row.flow_id, row.flow_version, at=row.next_at or now)
        return ScheduleView.whole(row, now, problems)

    async def _log(self, session: Session, owner: Principal, action: str, row: FlowScheduleRow, **details: Any) -> None:
        await self.audit.append(
            session,
            owner.tenant_id,
            actor=owner.subject,
            action=f"schedule.{action}",
            resource_type="schedule",
            resource_id=row.id,
            details={"flow_id": row.flow_id, **details},
        )


def _next_of(row: FlowScheduleRow, after: datetime) -> datetime | None:
    if row.paused:
        return None
    following = next_time(row.cron, row.timezone, after)
    if following is None:
        raise ValidationFailed(
            "The request is not valid.", violations=[{"pointer": "/cron", "message": "There is no such day, ever"}]
        )
    return following


def _owner_of(row: FlowScheduleRow) -> Principal:
    """Return whoever made the schedule: what it begins is theirs."""
    kind, _, name = row.created_by.partition(":")
    by_user = kind == "user"
    return Principal(
        tenant_id=TenantId(row.tenant_id),
        scopes=frozenset(),
        user_id=UserId(name) if by_user else None,
        key_id=None if by_user else ApiKeyId(name),
    )


def _micros(cost: float | None) -> int | None:
    return None if cost is None else round(cost * MICROS)


async def _refuse_same_name(repository: ScheduleRepository, flow_id: str, name: str) -> None:
    if await repository.named(flow_id, name) is not None:
        raise Conflict("The flow has a schedule of this name.", name=name)


async def _found(
    repository: ScheduleRepository, flow_id: str, schedule_id: str, *, to_change: bool = False
) -> FlowScheduleRow:
    known = is_uuid(flow_id) and is_uuid(schedule_id)
    row = await repository.find(flow_id, schedule_id, to_change=to_change) if known else None
    if row is None:
        raise ResourceNotFound("schedule", schedule_id)
    return row
