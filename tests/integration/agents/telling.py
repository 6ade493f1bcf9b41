"""Executions that tell what a test wants them to, as a worker's commits would."""

import json
from collections.abc import Sequence
from typing import Any

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import ExecutionEventRow, ExecutionRow

Event = tuple[str, Any]


async def execution_of(database: Database, tenant_id: TenantId) -> str:
    """Keep an execution that runs and has told nothing; return its id."""
    execution_id, now = new_id(), SystemClock().now()
    async with database.transaction() as session:
        session.add(
            ExecutionRow(
                id=execution_id,
                tenant_id=tenant_id,
                flow_id=new_id(),
                flow_version=1,
                state="running",
                mode="background",
                input="{}",
                context="{}",
                usage="{}",
                cost_micros=0,
                on_budget="pause",
                available_at=now,
                fence=1,
                attempts=1,
                resumptions=0,
                last_seq=0,
                created_by="test",
                created_at=now,
            )
        )
    return execution_id


async def tell(database: Database, execution_id: str, events: Sequence[Event], *, state: str = "running") -> None:
    """Commit that the execution told these, in order, and stands so."""
    async with database.transaction() as session:
        row = await session.get_one(ExecutionRow, execution_id)
        now = SystemClock().now()
        for type_, data in events:
            row.last_seq += 1
            session.add(
                ExecutionEventRow(
                    execution_id=execution_id,
                    seq=row.last_seq,
                    tenant_id=row.tenant_id,
                    type=type_,
                    data=json.dumps(data),
                    at=now,
                )
            )
        row.state = state
        if state not in ("queued", "running", "waiting"):
            row.finished_at = now


def deltas(count: int, *, start: int = 0, node: str = "say") -> list[Event]:
    """Return deltas whose texts are numbers in brackets: joined they show what is missing and what came twice."""
    return [("node.delta", {"node_id": node, "delta": f"[{number}]"}) for number in range(start, start + count)]
