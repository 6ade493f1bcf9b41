"""What a fork may reuse of an execution: what no change leads to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from core.errors import ValidationFailed
from core.ids import TenantId
from server.agents.executions.schemas import ForkBody, ForkReceipt, OutputChange
from server.agents.executor.plan import definition_of
from server.agents.flow.definition import Definition, Edge
from stores.blobs import BlobKey, BlobStore
from stores.sql.models import ExecutionRow, ExecutionStepRow
from stores.sql.models.execution import StepState

_MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    reused: Mapping[str, ExecutionStepRow]
    outputs: Mapping[str, Any]
    saved_micros: int

    @classmethod
    def of(cls, *, steps: Sequence[ExecutionStepRow], before: Any, after: Any, asked: ForkBody) -> Self:
        """Raises ValidationFailed for a node that is not there, or has no output to put another in place of."""
        old, new = definition_of(before), definition_of(after)
        if asked.from_node is not None and asked.from_node not in {node.id for node in new.nodes}:
            raise _refused("/from_node", "The flow has no such node")
        done = {step.path: step for step in steps if step.state == StepState.COMPLETED}
        reused = {} if asked.from_node is None else _reusable(old, new, done, asked.from_node)
        for name in asked.patch.outputs:
            if name not in reused:
                raise _refused(f"/patch/outputs/{name}", "Only the output of a node that is reused can be another")
        saved = sum(step.cost_micros for step in steps if step.path.split("/", 1)[0] in reused)
        return cls(reused=reused, outputs=asked.patch.outputs, saved_micros=saved)

    def receipt(self) -> dict[str, Any]:
        return {"reused_nodes": sorted(self.reused), "cost_saved_micros": self.saved_micros}

    def copies(self, execution_id: str, tenant_id: TenantId) -> Iterable[ExecutionStepRow]:
        """Return the steps that the fork begins with. They cost nothing again."""
        for number, (path, step) in enumerate(self.reused.items(), start=1):
            patched = path in self.outputs
            yield ExecutionStepRow(
                execution_id=execution_id,
                number=number,
                tenant_id=tenant_id,
                path=path,
                node_id=step.node_id,
                node_type=step.node_type,
                attempt=1,
                state=StepState.COMPLETED.value,
                port=step.port,
                output=json.dumps(self.outputs[path]) if patched else step.output,
                output_blob=None if patched else step.output_blob,
                cost_micros=0,
                started_at=step.started_at,
                finished_at=step.finished_at,
            )


def _reusable(
    old: Definition, new: Definition, done: Mapping[str, ExecutionStepRow], from_node: str
) -> dict[str, ExecutionStepRow]:
    """Return the steps of nodes that are as they were, behind nothing that is not, and not behind `from_node`."""
    known = {node.id: (node.type, node.config) for node in old.nodes}
    edges_before, edges_now = _edges_by_target(old), _edges_by_target(new)
    changed = {from_node} | {
        node.id
        for node in new.nodes
        if known.get(node.id) != (node.type, node.config) or edges_before.get(node.id) != edges_now.get(node.id)
    }
    following: dict[str, list[str]] = {}
    for edge in new.edges:
        following.setdefault(edge.source, []).append(edge.target)
    behind = list(changed)
    while behind:
        for target in following.get(behind.pop(), []):
            if target not in changed:
                changed.add(target)
                behind.append(target)
    return {path: step for path, step in done.items() if path in known and path not in changed}


def _edges_by_target(definition: Definition) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {}
    for edge in definition.edges:
        found.setdefault(edge.target, []).append(edge)
    return found


def receipt_of(row: ExecutionRow, changes: list[OutputChange] | None) -> ForkReceipt | None:
    if row.forked_from_id is None:
        return None
    told = json.loads(row.fork_receipt or "{}")
    return ForkReceipt(
        from_execution_id=row.forked_from_id,
        from_node=row.forked_from_node,
        reused_nodes=told.get("reused_nodes", []),
        cost_saved=told.get("cost_saved_micros", 0) / _MICROS,
        output_changes=changes,
    )


async def outputs_of(
    blobs: BlobStore, tenant_id: TenantId, now: Sequence[ExecutionStepRow], before: Sequence[ExecutionStepRow]
) -> list[OutputChange]:
    """Return which nodes of the outermost graph came to something else than in the original."""

    async def read(steps: Sequence[ExecutionStepRow]) -> dict[str, Any]:
        found = {}
        for step in steps:
            if step.state == StepState.COMPLETED and "/" not in step.path:
                text = step.output
                if step.output_blob is not None:
                    text = (await blobs.get(tenant_id, BlobKey(step.output_blob))).decode()
                found[step.path] = None if text is None else json.loads(text)
        return found

    new, old = await read(now), await read(before)
    return [
        OutputChange(node=name, before=old.get(name), after=new.get(name))
        for name in sorted(new.keys() | old.keys())
        if new.get(name) != old.get(name) or (name in new) != (name in old)
    ]


def _refused(pointer: str, message: str) -> ValidationFailed:
    return ValidationFailed("The request is not valid.", violations=[{"pointer": pointer, "message": message}])
