"""The SQL of workers: which executions are due, who holds them, and what is written down of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import bindparam, delete, exists, func, insert, select, text, update
from sqlalchemy.orm import Session

from core.ids import TenantId
from server.agents.worker.claimed import Batch, Claimed, Ended, Written
from server.agents.worker.history import Rows, usage_json
from stores.sql.models import (
    ExecutionCallRow,
    ExecutionEventRow,
    ExecutionRow,
    ExecutionSignalRow,
    ExecutionStepRow,
    ExecutionWaitRow,
    FlowRow,
    FlowVersionRow,
)

_E = ExecutionRow
_IS_OPEN = text("executions.state IN ('queued', 'running', 'waiting')")  # letter by letter the partial index's
# When an execution is looked at again that waits for somebody: not by itself.
FAR_AWAY = datetime(9999, 1, 1, tzinfo=UTC)
_TERMINAL = frozenset({"completed", "failed", "cancelled", "expired", "budget_exhausted"})
# Claims follow one another, so that no two count a tenant's executions at once.
_CLAIMS_LOCK = 7_206_113


def any_due(session: Session, now: datetime) -> bool:
    return session.scalar(select(_E.id).where(_IS_OPEN, _E.available_at <= now).limit(1)) is not None


def claim(
    session: Session,
    *,
    now: datetime,
    until: datetime,
    owner: str,
    room: int,
    per_tenant: int,
    dice: Callable[[], float],
) -> list[Claimed]:
    """Take up to `room` executions that are due. Tenants take turns by lot; none has more than `per_tenant` at once."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_CLAIMS_LOCK)))
    due = _IS_OPEN, _E.available_at <= now
    tenants = list(session.scalars(select(_E.tenant_id).where(*due).distinct()))
    tenants.sort(key=lambda _: dice())
    taken: list[Claimed] = []
    left = {tenant_id: per_tenant - _running(session, tenant_id, now) for tenant_id in tenants[: 4 * room]}
    for share in (max(1, room // max(1, len(left))), room):  # what one leaves of its share is for the others
        for tenant_id, allowed in left.items():
            wanted = min(share, allowed, room - len(taken))
            if wanted > 0:
                found = _due(session, tenant_id, due, wanted, {each.id for each in taken}, now, until, owner)
                left[tenant_id] -= len(found)
                taken += found
    return taken


def _running(session: Session, tenant_id: str, now: datetime) -> int:
    running = select(func.count()).where(
        _IS_OPEN, _E.tenant_id == tenant_id, _E.state == "running", _E.available_at > now
    )
    return session.scalar(running) or 0


def _due(
    session: Session, tenant_id: str, due: Any, limit: int, taken: set[str], now: datetime, until: datetime, owner: str
) -> list[Claimed]:
    query = select(*_CLAIMED).where(*due, _E.tenant_id == tenant_id)
    if taken:
        query = query.where(_E.id.not_in(taken))
    query = query.order_by(_E.available_at, _E.id).limit(limit).with_for_update(skip_locked=True)
    found = session.execute(query).all()
    if found:
        taking = [{"taken": row.id, "until": until, "owner": owner, "at": now} for row in found]
        session.connection().execute(_TAKING, taking)
    return [_claimed(row) for row in found]


_CLAIMED = (
    _E.id, _E.tenant_id, _E.flow_id, _E.flow_version, _E.input, _E.context, _E.usage, _E.max_cost_micros,
    _E.cost_micros, _E.on_budget, _E.deadline_at, _E.cancel_requested_at, _E.fence, _E.attempts, _E.resumptions,
    _E.last_seq, _E.started_at, _E.created_by, _E.forked_from_id,
)  # fmt: skip
_TAKING = (
    update(_E)
    .where(_E.id == bindparam("taken"))
    .values(
        state="running",
        owner=bindparam("owner"),
        available_at=bindparam("until"),
        fence=_E.fence + 1,
        attempts=_E.attempts + 1,
        started_at=func.coalesce(_E.started_at, bindparam("at", type_=_E.__table__.c.started_at.type)),
    )
)


def _claimed(row: Any) -> Claimed:
    return Claimed(
        id=row.id,
        tenant_id=TenantId(row.tenant_id),
        flow_id=row.flow_id,
        flow_version=row.flow_version,
        input=row.input,
        context=row.context,
        usage=row.usage,
        max_cost_micros=row.max_cost_micros,
        cost_micros=row.cost_micros,
        on_budget=cast(Literal["pause", "fail"], row.on_budget),
        deadline_at=row.deadline_at,
        cancel_requested=row.cancel_requested_at is not None,
        fence=row.fence + 1,
        attempts=row.attempts + 1,
        resumptions=row.resumptions,
        last_seq=row.last_seq,
        is_new=row.last_seq == 0,
        is_fork=row.forked_from_id is not None,
        created_by=row.created_by,
    )


def rows_of(session: Session, execution_id: str) -> Rows:
    """Return the journal of an execution, as far as it was committed."""
    step, call, wait = ExecutionStepRow, ExecutionCallRow, ExecutionWaitRow
    return Rows(
        steps=session.scalars(select(step).where(step.execution_id == execution_id).order_by(step.number)).all(),
        calls=session.scalars(select(call).where(call.execution_id == execution_id)).all(),
        waits=session.scalars(select(wait).where(wait.execution_id == execution_id)).all(),
    )


def definition_of(session: Session, tenant_id: str, flow_id: str, number: int) -> str | None:
    version = FlowVersionRow
    query = select(version.definition).where(
        version.tenant_id == tenant_id, version.flow_id == flow_id, version.number == number
    )
    return session.scalar(query)


def current_version(session: Session, tenant_id: str, flow_id: str) -> int | None:
    query = select(func.coalesce(FlowRow.published_number, FlowRow.latest_number)).where(
        FlowRow.tenant_id == tenant_id, FlowRow.id == flow_id
    )
    return session.scalar(query)


def renew(session: Session, held: Mapping[str, int], until: datetime) -> None:
    """Hold these, by id and fence, for longer."""
    renewing = [{"held": name, "shown": fence, "until": until} for name, fence in sorted(held.items())]
    session.connection().execute(_RENEWING, renewing)


_IS_HELD = _E.id == bindparam("held"), _E.fence == bindparam("shown"), _E.state == "running"
_RENEWING = update(_E).where(*_IS_HELD).values(available_at=bindparam("until"))
_HANDING_BACK = (
    update(_E)
    .where(*_IS_HELD)
    .values(state="queued", owner=None, available_at=bindparam("now"), fence=_E.fence + 1, attempts=0)
)


def hand_back(session: Session, held: Mapping[str, int], now: datetime) -> None:
    """Let others take these at once."""
    giving = [{"held": name, "shown": fence, "now": now} for name, fence in sorted(held.items())]
    session.connection().execute(_HANDING_BACK, giving)


def standing(session: Session, ids: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Return the fence of each execution that is running, and whether somebody wants it cancelled."""
    query = select(_E.id, _E.fence, _E.cancel_requested_at).where(_E.id.in_(ids), _E.state == "running")
    return {row.id: (row.fence, row.cancel_requested_at is not None) for row in session.execute(query)}


def write(
    session: Session, batches: Sequence[Batch], now: datetime, tell: Callable[[Session, Batch], None]
) -> list[Written]:
    """Write down what was noted of each execution that is still its worker's. `tell` appends to the outbox."""
    ids = [batch.claimed.id for batch in batches]
    query = select(_E.id, _E.fence, _E.cancel_requested_at).where(_E.id.in_(ids), _E.state == "running")
    held = {row.id: row for row in session.execute(query.order_by(_E.id).with_for_update())}
    outcome: list[Written] = []
    ours: list[Batch] = []
    for batch in batches:
        row = held.get(batch.claimed.id)
        lost = row is None or row.fence != batch.claimed.fence
        called_off = row is not None and row.cancel_requested_at is not None
        outcome.append(Written(lost=lost, cancel_requested=called_off and not lost))
        if not lost:
            ours.append(batch)
    if ours:
        _write_rows(session, ours)
        for batch in ours:
            _write_waits(session, batch, now)
            _write_execution(session, batch, now)
            tell(session, batch)
    return outcome


def _write_rows(session: Session, batches: Sequence[Batch]) -> None:
    connection = session.connection()
    new_steps, changed_steps, calls, events = [], [], [], []
    for batch in batches:
        whose = {"execution_id": batch.claimed.id, "tenant_id": batch.claimed.tenant_id}
        new_steps += [{**whose, "number": number, **row} for number, row in batch.new_steps.items()]
        changed_steps += [
            {"whose": batch.claimed.id, "which": number, **{name: row[name] for name in _CHANGING}}
            for number, row in batch.changed_steps.items()
        ]
        calls += [{**whose, **row} for row in batch.calls]
        events += [{**whose, **row} for row in batch.events]
    if new_steps:
        connection.execute(_NEW_STEPS, new_steps)
    if changed_steps:
        connection.execute(_CHANGED_STEPS, changed_steps)
    if calls:
        connection.execute(_CALLS, calls)
    if events:
        connection.execute(_EVENTS, events)


_CHANGING = ("state", "port", "output", "output_blob", "error", "usage", "cost_micros", "finished_at")
_S = ExecutionStepRow
_NEW_STEPS, _CALLS, _EVENTS = insert(_S), insert(ExecutionCallRow), insert(ExecutionEventRow)
_CHANGED_STEPS = (
    update(_S)
    .where(_S.execution_id == bindparam("whose"), _S.number == bindparam("which"))
    .values({name: bindparam(name) for name in _CHANGING})
)


def _write_waits(session: Session, batch: Batch, now: datetime) -> None:
    wait, signal = ExecutionWaitRow, ExecutionSignalRow
    for path, row in batch.waits.items():
        session.execute(delete(wait).where(wait.execution_id == batch.claimed.id, wait.path == path))
        came: Any = None
        if row["kind"] == "signal":  # it may have come before anybody waited
            query = select(signal).where(
                signal.execution_id == batch.claimed.id, signal.name == row["name"], signal.taken_by.is_(None)
            )
            came = session.scalar(query.order_by(signal.id).limit(1))
        session.add(
            wait(
                execution_id=batch.claimed.id,
                tenant_id=batch.claimed.tenant_id,
                **row,
                answer=came and came.payload,
                answered_by=came and came.sent_by,
                answered_at=came and now,
            )
        )
        if came is not None:
            came.taken_by = path
    session.flush()


def _write_execution(session: Session, batch: Batch, now: datetime) -> None:
    ended = batch.ended
    values: dict[str, Any] = {
        "last_seq": batch.last_seq,
        "usage": usage_json(batch.usage),
        "cost_micros": batch.usage.cost_micros,
    }
    if batch.progressed:
        values["attempts"] = 0
    if ended is not None:
        values |= {"state": ended.state, "owner": None, "attempts": 0, "result": ended.result, "error": ended.error}
        values |= {"available_at": FAR_AWAY, "finished_at": now if ended.state in _TERMINAL else None}
        if ended.state in _TERMINAL:
            session.execute(_end_open_steps(batch.claimed.id, now))
        elif _is_answered(session, batch.claimed.id, ended):
            values["available_at"] = now
        elif ended.until is not None:
            values["available_at"] = ended.until
    session.execute(update(_E).where(_E.id == batch.claimed.id).values(values), execution_options=_UNSYNCHRONISED)


_UNSYNCHRONISED = {"synchronize_session": False}


def _end_open_steps(execution_id: str, now: datetime) -> Any:
    running = _S.execution_id == execution_id, _S.state.in_(("running", "waiting"))
    return update(_S).where(*running).values(state="cancelled", finished_at=now).execution_options(**_UNSYNCHRONISED)


def _is_answered(session: Session, execution_id: str, ended: Ended) -> bool:
    """Whether somebody answered meanwhile what it is about to wait for."""
    wait = ExecutionWaitRow
    answered = (
        wait.execution_id == execution_id, wait.path.in_(list(ended.paths)), wait.answered_at.is_not(None)
    )  # fmt: skip
    return bool(session.scalar(select(exists().where(*answered))))
