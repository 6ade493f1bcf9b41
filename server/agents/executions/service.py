"""Executions: accepted, looked at, waited for, called off, answered. What doors, sockets and schedules call."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from core.clock import Clock
from core.errors import Conflict, ResourceNotFound, ValidationFailed
from core.ids import IdSource, TenantId, is_uuid
from server.agents.executions.ends import Ends
from server.agents.executions.fork import Fork, outputs_of, receipt_of
from server.agents.executions.repository import (
    ExecutionRepository,
    accept,
    over_of,
    page_of,
    runnable,
    steps_of,
    whole_of,
)
from server.agents.executions.schemas import (
    OVER,
    ExecutionItem,
    ExecutionPage,
    ExecutionsQuery,
    ExecutionView,
    ForkBody,
    ResumeBody,
    Signalled,
    StepPage,
    StepsQuery,
    StepView,
    micros_of,
)
from server.agents.flow.json_schema import mismatch
from server.auth.principal import Principal
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobKey, BlobStore
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database, Session, Writer
from stores.sql.models import (
    ExecutionEventRow,
    ExecutionRow,
    ExecutionSignalRow,
    ExecutionState,
    FlowRow,
)

_ARCHIVED = "The flow is archived: it runs no more."
_RESUMABLE = frozenset({ExecutionState.FAILED, ExecutionState.EXPIRED, ExecutionState.BUDGET_EXHAUSTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExecution:
    """What somebody asks for. `version` None: the published one. `mode` says who asked, for people to read."""

    flow_id: str
    input: Any = None
    context: dict[str, Any] = field(default_factory=dict)
    version: int | None = None
    mode: str = "background"
    max_cost_micros: int | None = None
    deadline_seconds: float | None = None
    on_budget: Literal["pause", "fail"] = "pause"
    schedule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionService:
    """One a process. `bell` wakes the workers; `blobs` holds large outputs."""

    database: Database
    blobs: BlobStore
    outbox: Outbox
    bell: Bell
    audit: AuditLog
    clock: Clock
    new_id: IdSource
    cursors: Cursors
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ends: Ends = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", Ends(self.database, over_of))

    async def start(self, caller: Principal, asked: NewExecution) -> ExecutionView:
        """Accept an execution: it is there once the transaction is committed. Raises ResourceNotFound, Conflict."""
        row = await self.database.write(lambda writer: self._accept(writer, caller, asked))
        await self.database.when_committed(self.bell.ring)
        return ExecutionView.whole(row, [], None)

    def _accept(self, writer: Writer, caller: Principal, asked: NewExecution) -> ExecutionRow:
        found = runnable(writer, caller.tenant_id, asked.flow_id, asked.version) if is_uuid(asked.flow_id) else None
        if found is None:
            raise ResourceNotFound("flow", asked.flow_id)
        if found.is_archived:
            raise Conflict(_ARCHIVED)
        if not found.has_version:
            raise ResourceNotFound("flow_version", str(found.number))
        row = self._row(caller, asked, found.number)
        accept(writer, row)
        return row

    async def get(self, caller: Principal, execution_id: str) -> ExecutionView:
        """Raises ResourceNotFound, as does every method below."""
        found = await self.database.read(whole_of(caller.tenant_id, execution_id)) if is_uuid(execution_id) else None
        if found is None:
            raise ResourceNotFound("execution", execution_id)
        changes = None
        if found.steps and found.original_steps:
            changes = await outputs_of(self.blobs, caller.tenant_id, found.steps, found.original_steps)
        return ExecutionView.whole(found.row, found.waits, receipt_of(found.row, changes))

    async def wait(self, caller: Principal, execution_id: str, seconds: float) -> ExecutionView:
        """Return the execution once it is over, or as it stands when `seconds` have passed or the server stops."""
        view = await self.get(caller, execution_id)
        if view.is_over or self.stopping.is_set():
            return view
        await self.ends.wait(execution_id, seconds)
        return await self.get(caller, execution_id)

    def stop(self) -> None:
        """Let everybody go who waits: they ask again, elsewhere."""
        self.stopping.set()
        self.ends.stop()

    async def page(self, caller: Principal, query: ExecutionsQuery) -> ExecutionPage:
        scope = {"tenant_id": caller.tenant_id, "listing": "executions"}
        place = self.cursors.place(query, **scope)
        filters = query.model_dump(exclude={"skip", "cursor"})
        found = await self.database.read(page_of(caller.tenant_id, place=place, **filters))
        last = found.rows[-1] if found.more else None
        return ExecutionPage(
            items=[ExecutionItem.of(row) for row in found.rows],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last and self.cursors.next(query, place, found, last=(last.created_at, last.id), **scope),
        )

    async def steps(self, caller: Principal, execution_id: str, query: StepsQuery) -> StepPage:
        """Return the attempts at the execution's nodes, in the order in which they began."""
        await self.get(caller, execution_id)
        scope = {"tenant_id": caller.tenant_id, "listing": f"steps/{execution_id}"}
        place = self.cursors.place(query, **scope)
        found = await self.database.read(steps_of(caller.tenant_id, execution_id, place=place, limit=query.limit))
        last = found.rows[-1] if found.more else None
        outputs = [await self._output(caller.tenant_id, row.output, row.output_blob) for row in found.rows]
        return StepPage(
            items=[StepView.of(row, output) for row, output in zip(found.rows, outputs, strict=True)],
            total=found.total,
            skip=place.skip,
            limit=query.limit,
            has_more=found.more,
            next_cursor=last
            and self.cursors.next(query, place, found, last=(last.started_at, str(last.number)), **scope),
        )

    async def cancel(self, caller: Principal, execution_id: str) -> ExecutionView:
        """Call an execution off: at once where no worker has it, and by its worker otherwise. Raises Conflict."""
        async with self._changing(caller, execution_id) as (session, repository, row):
            if row.state in OVER and row.state != ExecutionState.CANCELLED:
                raise Conflict("The execution is over.", status=row.state)
            now = self.clock.now()
            held = row.state == ExecutionState.RUNNING and row.available_at > now
            if row.cancel_requested_at is None and row.state not in OVER:
                row.cancel_requested_at = now
                await self._log(session, caller, "cancelled", row)
            if not held and row.state not in OVER:
                await self._end_as_cancelled(repository, row)
        await self.database.when_committed(self.bell.ring)
        return await self.get(caller, execution_id)

    async def resume(self, caller: Principal, execution_id: str, asked: ResumeBody) -> ExecutionView:
        """Go on from the node that failed, or with a higher budget. What is finished is not run again.

        Raises Conflict.
        """
        async with self._changing(caller, execution_id) as (session, repository, row):
            waits = await repository.open_waits(row.id)
            paused = row.state == ExecutionState.WAITING and any(wait.kind == "budget" for wait in waits)
            if row.state not in _RESUMABLE and not paused:
                raise Conflict("Only an execution that failed, or waits for a budget, is resumed.", status=row.state)
            now = self.clock.now()
            if asked.version == "latest":
                flow = await _flow(repository, row.flow_id)
                row.flow_version = await self._version(repository, flow, None)
            if asked.max_cost is not None:
                row.max_cost_micros = micros_of(asked.max_cost)
            if asked.deadline_seconds is not None:
                row.deadline_at = now + timedelta(seconds=asked.deadline_seconds)
            elif row.state in OVER:
                row.deadline_at = None
            row.state, row.available_at, row.owner = ExecutionState.QUEUED.value, now, None
            row.finished_at = row.error = row.result = row.cancel_requested_at = None
            row.resumptions, row.attempts, row.fence = row.resumptions + 1, 0, row.fence + 1
            await self._log(session, caller, "resumed", row, version=row.flow_version)
        await self.database.when_committed(self.bell.ring)
        return await self.get(caller, execution_id)

    async def fork(self, caller: Principal, execution_id: str, asked: ForkBody) -> ExecutionView:
        """Begin another execution that reuses what `from_node` and the patch leave as it was. Raises Conflict."""
        async with self.database.transaction() as session:
            repository = ExecutionRepository(session, caller.tenant_id)
            original = await _found(repository, execution_id)
            if original.state not in OVER:
                raise Conflict("An execution is forked when it is over.", status=original.state)
            version = original.flow_version
            if asked.version != "pinned":
                flow = await _flow(repository, original.flow_id)
                version = await self._version(repository, flow, None if asked.version == "latest" else asked.version)
            fork = Fork.of(
                steps=await repository.steps(original.id),
                before=await self._definition(repository, original.flow_id, original.flow_version),
                after=await self._definition(repository, original.flow_id, version),
                asked=asked,
            )
            row = self._row(
                caller,
                NewExecution(
                    flow_id=original.flow_id,
                    input=asked.patch.input if "input" in asked.patch.model_fields_set else json.loads(original.input),
                    context=json.loads(original.context) if asked.patch.context is None else asked.patch.context,
                    mode="background",
                    max_cost_micros=original.max_cost_micros if asked.max_cost is None else micros_of(asked.max_cost),
                    on_budget="fail" if original.on_budget == "fail" else "pause",
                ),
                version,
            )
            row.forked_from_id, row.forked_from_node = original.id, asked.from_node
            row.fork_receipt = json.dumps(fork.receipt())
            await repository.add(row)
            for step in fork.copies(row.id, caller.tenant_id):
                await repository.add(step)
            await self._log(session, caller, "forked", row, from_execution=original.id)
        await self.database.when_committed(self.bell.ring)
        return ExecutionView.whole(row, [], receipt_of(row, None))

    async def signal(self, caller: Principal, execution_id: str, name: str, payload: Any) -> Signalled:
        """Hand a signal to the node that waits for it, or keep it for the first that will. Raises Conflict."""
        async with self._changing(caller, execution_id) as (_session, repository, row):
            if row.state in OVER:
                raise Conflict("The execution is over.", status=row.state)
            now = self.clock.now()
            wait = await repository.waits_for_signal(row.id, name)
            signal = ExecutionSignalRow(
                id=self.new_id(),
                execution_id=row.id,
                tenant_id=row.tenant_id,
                name=name,
                payload=json.dumps(payload),
                sent_by=caller.subject,
                sent_at=now,
                taken_by=None if wait is None else wait.path,
            )
            await repository.add(signal)
            if wait is not None:
                wait.answer, wait.answered_by, wait.answered_at = signal.payload, caller.subject, now
                self._wake(row)
        await self.database.when_committed(self.bell.ring)
        return Signalled(execution_id=execution_id, name=name, taken=wait is not None)

    async def respond(self, caller: Principal, execution_id: str, path: str | None, answer: Any) -> ExecutionView:
        """Answer a node that waits for a person. Raises Conflict, ValidationFailed."""
        async with self._changing(caller, execution_id) as (session, repository, row):
            if row.state in OVER:
                raise Conflict("The execution is over.", status=row.state)
            waits = [wait for wait in await repository.open_waits(row.id) if wait.kind == "person"]
            asked = [wait for wait in waits if path is None or wait.path == path]
            if len(asked) != 1:
                paths = [wait.path for wait in waits]
                raise Conflict("Name the one node that is answered, of those that wait for a person.", waiting=paths)
            wait, now = asked[0], self.clock.now()
            if wait.expires_at is not None and wait.expires_at <= now:
                raise Conflict("The time for an answer has run out.", expires_at=wait.expires_at.isoformat())
            schema = (json.loads(wait.schema) if wait.schema else {}).get("schema")
            _check(answer, schema)
            wait.answer, wait.answered_by, wait.answered_at = json.dumps(answer), caller.subject, now
            self._wake(row)
            await self._log(session, caller, "answered", row, path=wait.path)
        await self.database.when_committed(self.bell.ring)
        return await self.get(caller, execution_id)

    def _wake(self, row: ExecutionRow) -> None:
        # One that a worker has looks for answers itself before it lets go.
        if row.state == ExecutionState.WAITING:
            row.available_at = self.clock.now()

    async def _end_as_cancelled(self, repository: ExecutionRepository, row: ExecutionRow) -> None:
        now = self.clock.now()
        row.state, row.finished_at, row.owner = ExecutionState.CANCELLED.value, now, None
        row.fence, row.last_seq = row.fence + 1, row.last_seq + 1
        await repository.end_open_steps(row.id, now)
        await repository.add(
            ExecutionEventRow(
                execution_id=row.id,
                seq=row.last_seq,
                tenant_id=row.tenant_id,
                type="execution.cancelled",
                data=json.dumps({"status": row.state}),
                at=now,
            )
        )

    async def _version(self, repository: ExecutionRepository, flow: FlowRow, wanted: int | None) -> int:
        if flow.status == "archived":
            raise Conflict(_ARCHIVED)
        number = wanted or flow.published_number or flow.latest_number
        if not await repository.has_version(flow.id, number):
            raise ResourceNotFound("flow_version", str(number))
        return number

    async def _definition(self, repository: ExecutionRepository, flow_id: str, number: int) -> Any:
        text = await repository.definition(flow_id, number)
        if text is None:
            raise ResourceNotFound("flow_version", str(number))
        return json.loads(text)

    async def _output(self, tenant_id: TenantId, output: str | None, blob: str | None) -> str | None:
        return output if blob is None else (await self.blobs.get(tenant_id, BlobKey(blob))).decode()

    def _row(self, caller: Principal, asked: NewExecution, version: int) -> ExecutionRow:
        now = self.clock.now()
        return ExecutionRow(
            id=self.new_id(),
            tenant_id=caller.tenant_id,
            flow_id=asked.flow_id,
            flow_version=version,
            state=ExecutionState.QUEUED.value,
            mode=asked.mode,
            input=json.dumps(asked.input),
            context=json.dumps(asked.context),
            usage="{}",
            max_cost_micros=asked.max_cost_micros,
            cost_micros=0,
            on_budget=asked.on_budget,
            deadline_at=None if asked.deadline_seconds is None else now + timedelta(seconds=asked.deadline_seconds),
            available_at=now,
            fence=0,
            attempts=0,
            resumptions=0,
            last_seq=0,
            schedule_id=asked.schedule_id,
            created_by=caller.subject,
            created_at=now,
        )

    @asynccontextmanager
    async def _changing(
        self, caller: Principal, execution_id: str
    ) -> AsyncIterator[tuple[Session, ExecutionRepository, ExecutionRow]]:
        async with self.database.transaction() as session:
            repository = ExecutionRepository(session, caller.tenant_id)
            row = await _found(repository, execution_id, to_change=True)
            yield session, repository, row

    async def _log(self, session: Session, caller: Principal, action: str, row: ExecutionRow, **details: Any) -> None:
        await self.audit.append(
            session,
            caller.tenant_id,
            actor=caller.subject,
            action=f"execution.{action}",
            resource_type="execution",
            resource_id=row.id,
            details=details,
        )


async def _flow(repository: ExecutionRepository, flow_id: str) -> FlowRow:
    flow = await repository.flow(flow_id) if is_uuid(flow_id) else None
    if flow is None:
        raise ResourceNotFound("flow", flow_id)
    return flow


async def _found(repository: ExecutionRepository, execution_id: str, *, to_change: bool = False) -> ExecutionRow:
    row = await repository.find(execution_id, to_change=to_change) if is_uuid(execution_id) else None
    if row is None:
        raise ResourceNotFound("execution", execution_id)
    return row


def _check(answer: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    found = mismatch(answer, schema)
    if found is not None:
        raise ValidationFailed(
            "The answer is not what the node asks for.",
            violations=[{"pointer": f"/answer{found.pointer}", "message": found.message}],
        )
