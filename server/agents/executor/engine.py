"""Run an execution from wherever its journal says that it stands, to an end or to where it has to wait."""

import asyncio

from core.errors import CodexError
from server.agents.executor.frame import Frame
from server.agents.executor.journal import Completed, Ending, Exhausted, Expired, Failed, Fault, Parked
from server.agents.executor.run import BudgetExhausted, FlowFailed, Run, Stuck, fault_of

_SPENT = Fault(
    code="BUDGET_EXHAUSTED", message="The execution has spent what it may. Resume it with a higher max_cost."
)


async def execute(run: Run) -> Ending:
    """Return how it ended. Whoever cancels this task, or raises LeaseLost from the journal, hears nothing more."""
    scope = {"input": run.input, "context": run.context, "nodes": {}}
    seconds_left = _seconds_left(run)
    if seconds_left == 0:
        return Expired()
    deadline = asyncio.timeout(seconds_left)
    try:
        async with deadline:
            result = await Frame(run, run.plan, "", scope).result()
    except TimeoutError:
        if not deadline.expired():
            raise
        return Expired()
    except FlowFailed as error:
        return Failed(fault=error.fault, path=error.path)
    except BudgetExhausted:
        return Exhausted(fault=_SPENT)
    except CodexError as error:
        if error.code == "LEASE_LOST":
            raise
        return Failed(fault=fault_of(error))
    if isinstance(result, Stuck):
        until = [each for each in run.parked.values() if each is not None]
        return Parked(until=min(until, default=None), paths=tuple(run.parked), needs_budget=run.needs_budget)
    return Completed(result=result)


def _seconds_left(run: Run) -> float | None:
    if run.deadline_at is None:
        return None
    return max(0.0, (run.deadline_at - run.surroundings.now()).total_seconds())
