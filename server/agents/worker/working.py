"""One execution in a worker's hands: its journal read, its flow run, and its end written down."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.clock import Clock
from core.ids import TenantId
from server.agents.executor.budget import Budget
from server.agents.executor.engine import execute
from server.agents.executor.journal import (
    Cancelled,
    Completed,
    Ending,
    Exhausted,
    Expired,
    Failed,
    Fault,
    Parked,
)
from server.agents.executor.run import Run, Surroundings
from server.agents.flow.definition import Json
from server.agents.nodes.base import NodeFailed
from server.agents.worker.claimed import Claimed, Ended
from server.agents.worker.flows import Plans
from server.agents.worker.history import Rows, history_of
from server.agents.worker.journal import SqlJournal
from server.agents.worker.service import Ledger
from stores.blobs import BlobStore

# Taken so often without a step forward: what kills its worker each time must not do so for ever.
MOST_ATTEMPTS = 20
_STUCK = Fault(
    code="EXECUTION_STUCK",
    message=f"{MOST_ATTEMPTS} workers have begun to run this and none came to the next step.",
)
_LATE = Fault(code="EXECUTION_EXPIRED", message="The deadline of the execution has passed.")


class SafeOfFlows(Protocol):
    """Where secrets are: see `vault.safe.Safe.resolve`."""

    async def resolve(
        self, tenant_id: TenantId, key: str, *, host: str, principal: str, flow: str, execution: str
    ) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionSecrets:
    """Secrets as one execution may have them: in the name of whoever asked for it."""

    safe: SafeOfFlows
    claimed: Claimed

    async def value(self, key: str, host: str) -> str:
        claimed = self.claimed
        revealed = await self.safe.resolve(
            claimed.tenant_id,
            key,
            host=host,
            principal=claimed.created_by,
            flow=claimed.flow_id,
            execution=claimed.id,
        )
        return str(revealed.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What a process needs to run executions. One a process."""

    ledger: Ledger
    blobs: BlobStore
    plans: Plans
    surroundings: Surroundings
    safe: SafeOfFlows
    clock: Clock
    touch: Callable[[SqlJournal], None]

    async def open(self, claimed: Claimed) -> SqlJournal:
        """Return the journal of an execution, with all that was committed of it."""
        # Of one that never told anything there is nothing to read, unless it began with another's steps.
        is_blank = claimed.is_new and not claimed.is_fork
        rows = Rows(steps=(), calls=(), waits=()) if is_blank else await self.ledger.rows(claimed.id)
        history = await history_of(
            rows, self.blobs, claimed.tenant_id, usage=claimed.usage, resumptions=claimed.resumptions
        )
        return SqlJournal(claimed, history, self.clock.now, self.touch)

    async def run(self, claimed: Claimed, journal: SqlJournal) -> None:
        """Run it as far as it goes and write down how it stands. Raises LeaseLost; whoever cancels this ends it."""
        if claimed.cancel_requested:
            ending: Ending = Cancelled()
        elif claimed.attempts > MOST_ATTEMPTS:
            ending = Failed(fault=_STUCK)
        else:
            ending = await self._execute(claimed, journal)
        await self.end(claimed, journal, ending)

    async def _execute(self, claimed: Claimed, journal: SqlJournal) -> Ending:
        flows = self.plans.of(claimed.tenant_id)
        try:
            plan = await flows.plan(claimed.flow_id, claimed.flow_version)
        except NodeFailed as error:
            return Failed(fault=Fault(code=error.node_code, message=error.message))
        run = Run(
            tenant_id=claimed.tenant_id,
            execution_id=claimed.id,
            plan=plan,
            input=json.loads(claimed.input),
            context=json.loads(claimed.context),
            journal=journal,
            surroundings=self.surroundings,
            secrets=ExecutionSecrets(safe=self.safe, claimed=claimed),
            flows=flows,
            budget=Budget(most_micros=claimed.max_cost_micros, spent_micros=journal.usage.cost_micros),
            on_budget=claimed.on_budget,
            deadline_at=claimed.deadline_at,
        )
        return await execute(run)

    async def end(self, claimed: Claimed, journal: SqlJournal, ending: Ending) -> None:
        """Write down how it stands, and wait until that is committed. Raises LeaseLost."""
        _note(claimed, journal, ending)
        await journal.settled()


def _note(claimed: Claimed, journal: SqlJournal, ending: Ending) -> None:
    if isinstance(ending, Completed):
        result = journal.concealed_json(ending.result)
        told: dict[str, Json] = {"status": "completed", "result": result}
        journal.end(Ended(state="completed", result=json.dumps(result), told=told), "execution.completed", told)
    elif isinstance(ending, Parked):
        until = _sooner(ending, claimed)
        waiting: dict[str, Json] = {
            "status": "waiting",
            "paths": list(ending.paths),
            "until": None if until is None else until.isoformat(),
            "needs_budget": ending.needs_budget,
        }
        ended = Ended(state="waiting", until=until, paths=ending.paths)
        journal.end(ended, "execution.waiting", waiting)
    elif isinstance(ending, Cancelled):
        journal.end(Ended(state="cancelled"), "execution.cancelled", {"status": "cancelled"})
    else:
        _note_failure(journal, ending)


def _note_failure(journal: SqlJournal, ending: Failed | Expired | Exhausted) -> None:
    fault, state, path = _LATE, "expired", ""
    if isinstance(ending, Failed):
        fault, state, path = ending.fault, "failed", ending.path
    elif isinstance(ending, Exhausted):
        fault, state = ending.fault, "budget_exhausted"
    error: dict[str, Json] = {"code": fault.code, "message": journal.concealed(fault.message)}
    # Receivers of webhooks know one kind of failure; its code tells them which.
    outside: Mapping[str, Any] = {"status": "failed", "error": error}
    ended = Ended(state=state, error=json.dumps({**error, "path": path}), told=outside)
    journal.end(ended, "execution.failed", {"status": state, "error": error, "path": path})


def _sooner(parked: Parked, claimed: Claimed) -> Any:
    """Return when it is to be looked at again: also where nobody answers, once its deadline has passed."""
    return min((each for each in (parked.until, claimed.deadline_at) if each is not None), default=None)
