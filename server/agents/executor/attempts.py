"""Try a node until it is done, has failed beyond its retries, or has to wait."""

import asyncio
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.errors import CodexError, LeaseLost, ServiceUnavailable
from core.log import get_logger
from server.agents.executor.containers import CONTAINERS, Container
from server.agents.executor.journal import Answer, Begun, Fault, Finished, Past
from server.agents.executor.memory import RETRY
from server.agents.executor.plan import PlannedNode, config_of
from server.agents.executor.run import STUCK, BudgetExhausted, FlowFailed, OutOfBudget, Sticks, Stuck, fault_of
from server.agents.executor.step import RunningStep
from server.agents.flow.definition import Json
from server.agents.nodes.base import Done, Effect, NodeConfig, NodeFailed, Retry, Waiting

if TYPE_CHECKING:
    from server.agents.executor.frame import Frame, Visited
    from server.agents.executor.run import Run

log = get_logger()

# Up to this long a retry waits inside of its worker; longer ones give the place to others.
_WAITED_INSIDE_SECONDS = 5.0
_NO_RETRY = Retry()
_BROKEN = Fault(code="INTERNAL_ERROR", message="Something of ours broke; the operator's log says why.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    fault: Fault
    retriable: bool


async def attempts(
    frame: "Frame", node: PlannedNode, path: str, past: Past | None, inputs: Sequence[Json]
) -> "Visited":
    run = frame.run
    failures = 0 if past is None else past.failures
    while True:
        begun = run.journal.begin(path, node.node, past)
        try:
            outcome = await _attempt(frame, node, begun, past, inputs)
        except OutOfBudget:
            run.needs_budget = True
            run.journal.wait(begun, Waiting(kind="budget", name="budget"))
            run.park(path, None)
            return STUCK
        if isinstance(outcome, Done):
            output = run.journal.complete(begun, outcome.output, outcome.port)
            return Finished(output=output, port=outcome.port)
        if isinstance(outcome, Waiting):
            run.journal.wait(begun, outcome)
            run.park(path, outcome.until)
            return STUCK
        if isinstance(outcome, Stuck):
            return STUCK
        failures += 1
        delay = _delay(frame, node, failures) if outcome.retriable else None
        if delay is None:
            run.journal.fail(begun, outcome.fault, last=True, handled=node.catches, retry_at=None)
            return outcome.fault
        retry_at = run.surroundings.now() + timedelta(seconds=delay)
        run.journal.fail(begun, outcome.fault, last=False, handled=False, retry_at=retry_at)
        if delay > _WAITED_INSIDE_SECONDS:
            run.park(path, retry_at)
            return STUCK
        await run.surroundings.sleep(delay)
        past = _after_failure(past, begun, failures)


def _after_failure(past: Past | None, begun: Begun, failures: int) -> Past:
    waited = past is not None and _answer_of(past) is not None
    return Past(
        attempt=begun.attempt + 1,
        failures=failures,
        wait=past.wait if past is not None and waited else None,
        answer=_answer_of(past) if waited else None,
    )


def _delay(frame: "Frame", node: PlannedNode, failures: int) -> float | None:
    """Return how long to wait before another attempt, with full jitter; None if there is none."""
    retry = _retry_of(node)
    if failures >= retry.attempts:
        return None
    longest = min(retry.max_delay_seconds, retry.delay_seconds * retry.factor ** (failures - 1))
    return longest * frame.run.surroundings.dice()


def _retry_of(node: PlannedNode) -> Retry:
    if node.fixed is not None:
        return node.fixed.retry
    given = node.node.config.get("retry")
    try:
        return _NO_RETRY if given is None else Retry.model_validate(given)
    except ValueError:  # a template stands in it; the attempt has said so already
        return _NO_RETRY


async def _attempt(
    frame: "Frame", node: PlannedNode, begun: Begun, past: Past | None, inputs: Sequence[Json]
) -> Done | Waiting | Stuck | _Failure:
    """Return Done, Waiting, a failure, or that the node is stuck inside."""
    run = frame.run
    clock: asyncio.Timeout | None = None
    try:
        if node.makes_calls:
            await run.journal.settled()
        answer = _answer_of(past)
        container = CONTAINERS.get(node.node.type)
        if container is not None:
            return await _contained(frame, node, begun, container)
        if node.fixed is not None:
            step = RunningStep(frame, begun, node.fixed, inputs, None, answer)
        else:
            scope = frame.scope_of(node)
            step = RunningStep(frame, begun, _configured(frame, node, scope), inputs, scope, answer)
        if node.type.effect is Effect.PURE and not answer:
            return await node.type.run(step)  # it waits for nothing, so that no time-out could end it
        async with asyncio.timeout(step.config.timeout_seconds) as clock:
            return await node.type.run(step)
    except (LeaseLost, BudgetExhausted):
        raise
    except Sticks:
        return STUCK
    except FlowFailed as error:  # of a flow that ran inside
        return _Failure(fault=error.fault, retriable=False)
    except CodexError as error:
        retriable = error.retriable if isinstance(error, NodeFailed) else isinstance(error, ServiceUnavailable)
        return _Failure(fault=fault_of(error), retriable=retriable)
    except TimeoutError:
        if clock is None or not clock.expired():
            _log_broken(run, begun)
            return _Failure(fault=_BROKEN, retriable=False)
        late = Fault(code="NODE_TIMEOUT", message="The node took longer than its timeout_seconds.")
        return _Failure(fault=late, retriable=True)
    except Exception:
        _log_broken(run, begun)
        return _Failure(fault=_BROKEN, retriable=False)


def _log_broken(run: "Run", begun: Begun) -> None:
    """Log the exception at hand. Its text may repeat a secret that the node was given, which no pattern knows."""
    trace = run.journal.concealed(traceback.format_exc())
    log.error("agents.node_broke", execution=run.execution_id, path=begun.path, exception=trace)


async def _contained(frame: "Frame", node: PlannedNode, begun: Begun, container: Container) -> Done | Stuck:
    given = node.node.config.get("timeout_seconds")
    seconds = float(given) if isinstance(given, int | float) else None  # none by itself: what is inside has its own
    late = asyncio.timeout(seconds)
    try:
        async with late:
            return await container(frame, node, begun)
    except TimeoutError:
        if late.expired():
            message = "The node took longer than its timeout_seconds."
            raise NodeFailed(message, code="NODE_TIMEOUT") from None
        raise


def _answer_of(past: Past | None) -> Answer | None:
    if past is None or past.wait is None or past.wait.name == RETRY or past.wait.kind == "budget":
        return None
    return past.answer


def _configured(frame: "Frame", node: PlannedNode, scope: dict[str, Json]) -> NodeConfig:
    raw = node.type.raw_fields
    config = node.node.config
    rendered = frame.run.surroundings.language.render(
        {name: value for name, value in config.items() if name not in raw}, scope
    )
    assert isinstance(rendered, dict)
    return config_of(node.type, {**rendered, **{name: config[name] for name in raw if name in config}})
