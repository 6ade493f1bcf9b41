"""What an execution's tables say of what it did before somebody took it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from core.ids import TenantId
from server.agents.executor.journal import Answer, Fault, Finished, Past
from server.agents.nodes.base import Called, Usage, Waiting
from stores.blobs import BlobKey, BlobStore
from stores.sql.models import ExecutionCallRow, ExecutionStepRow, ExecutionWaitRow
from stores.sql.models.execution import StepState


@dataclass(slots=True, kw_only=True)
class History:
    finished: dict[str, Finished] = field(default_factory=dict)
    pasts: dict[str, Past] = field(default_factory=dict)
    calls: dict[tuple[str, str], Called] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    open_numbers: set[int] = field(default_factory=set)
    last_number: int = 0
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    steps: Sequence[ExecutionStepRow]
    calls: Sequence[ExecutionCallRow]
    waits: Sequence[ExecutionWaitRow]


async def history_of(rows: Rows, blobs: BlobStore, tenant_id: TenantId, *, usage: str, resumptions: int) -> History:
    """`resumptions` is how often the execution was resumed: what failed for good before that may be tried again."""
    history = History(usage=usage_of(usage))
    for step in rows.steps:  # in the order in which they began
        history.last_number = max(history.last_number, step.number)
        if step.state == StepState.COMPLETED:
            text = await _text(blobs, tenant_id, step.output, step.output_blob)
            history.finished[step.path] = Finished(output=json.loads(text), port=step.port)
        elif step.state == StepState.SKIPPED:
            history.skipped.add(step.path)
        else:
            _remember(history, step, resumptions)
    for call in rows.calls:
        text = await _text(blobs, tenant_id, call.result, call.result_blob)
        cost = Usage(cost_micros=call.cost_micros)
        history.calls[call.path, call.name] = Called(result=json.loads(text), usage=cost)
    for wait in rows.waits:
        _remember_wait(history, wait)
    return history


def _remember(history: History, step: ExecutionStepRow, resumptions: int) -> None:
    past = history.pasts.setdefault(step.path, Past())
    if step.state in (StepState.RUNNING, StepState.WAITING):
        past.attempt, past.number = step.attempt, step.number
        history.open_numbers.add(step.number)
        return
    past.attempt, past.number = step.attempt + 1, None
    if step.state == StepState.FAILED:
        error = json.loads(step.error or "{}")
        is_final = error.get("last", True) and (error.get("handled") or error.get("resumption") == resumptions)
        past.fault = Fault(code=error.get("code", ""), message=error.get("message", "")) if is_final else None
        past.failures = past.failures + 1 if error.get("resumption") == resumptions else 0


def _remember_wait(history: History, wait: ExecutionWaitRow) -> None:
    past = history.pasts.setdefault(wait.path, Past())
    past.wait = Waiting(kind=wait.kind, name=wait.name, until=wait.expires_at)
    if wait.answered_at is not None:
        past.answer = Answer(payload=json.loads(wait.answer or "null"))


async def _text(blobs: BlobStore, tenant_id: TenantId, text: str | None, blob: str | None) -> str:
    return (text or "null") if blob is None else (await blobs.get(tenant_id, BlobKey(blob))).decode()


def usage_json(usage: Usage) -> str:
    return json.dumps({name: getattr(usage, name) for name in _USAGE})


_USAGE = tuple(each.name for each in fields(Usage))


def usage_of(text: str) -> Usage:
    given: Mapping[str, int] = json.loads(text or "{}")
    return Usage(**given)
