"""C25: a node that is "running" for ever (langgenius/dify 18993)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from core.clock import SystemClock
from core.ids import TenantId
from server.agents.executions.service import NewExecution
from stores.sql.engine import Database
from stores.sql.models import ExecutionRow, ExecutionStepRow
from tests.factories.flows import flow
from tests.integration.agents.flows import flow_of
from tests.integration.agents.workers import TENANT, a_tenant, a_worker, caller, service

# Two branches at once, so that one is under way when the other fails, is called off or is too late.
FAILING = {"failing": ("template", {"template": "{{ input.missing }}"})}
WAITING = {"waiting": ("human", {"prompt": "?"})}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await a_tenant(database)
    yield database
    await database.dispose()


async def _open_steps(database: Database) -> list[tuple[str, str]]:
    query = select(ExecutionStepRow.path, ExecutionStepRow.state).where(
        ExecutionStepRow.state.in_(["running", "waiting"])
    )
    return [tuple(row) for row in await database.rows(query)]


@pytest.mark.parametrize("end", ["failed", "cancelled", "expired"])
async def test_C25_however_it_ends_no_node_is_left_open(database: Database, tmp_path: Path, end: str) -> None:
    """A person's node waits in one branch while the execution comes to its end."""
    asked = service(database, tmp_path)
    branches: dict[str, Any] = {"start": ("input", {}), **WAITING, **(FAILING if end == "failed" else {})}
    flow_id = await flow_of(
        database, TENANT, flow(branches, *(("start", name) for name in branches if name != "start"))
    )
    deadline = 0.5 if end == "expired" else None
    async with a_worker(database, tmp_path):
        started = await asked.start(caller(), NewExecution(flow_id=flow_id, deadline_seconds=deadline))
        if end == "cancelled":
            async with asyncio.timeout(60):
                while (await asked.get(caller(), started.execution_id)).status != "waiting":
                    await asyncio.sleep(0.02)
            await asked.cancel(caller(), started.execution_id)
        view = await asked.wait(caller(), started.execution_id, 60)
    assert view.status == end
    assert await _open_steps(database) == []


async def test_C25_a_killed_workers_node_is_closed_with_its_execution(database: Database, tmp_path: Path) -> None:
    """What a worker that was killed had under way is called off: no worker is there to close its step."""
    asked = service(database, tmp_path)
    flow_id = await flow_of(database, TENANT, flow({"start": ("input", {})}))
    started = await asked.start(caller(), NewExecution(flow_id=flow_id))
    now = SystemClock().now()
    async with database.transaction() as session:
        row = (await session.scalars(select(ExecutionRow))).one()
        row.state, row.owner, row.fence, row.started_at = "running", "killed", 1, now
        session.add(
            ExecutionStepRow(
                execution_id=row.id,
                number=1,
                tenant_id=TenantId(row.tenant_id),
                path="start",
                node_id="start",
                node_type="input",
                attempt=1,
                state="running",
                cost_micros=0,
                started_at=now,
            )
        )
    view = await asked.cancel(caller(), started.execution_id)
    assert view.status == "cancelled"
    assert await _open_steps(database) == []
