"""C27: checkpoints without bound (langchain-ai/langgraphjs 1138)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from server.agents.executions.service import NewExecution
from stores.sql.engine import Database
from stores.sql.models import ExecutionEventRow, ExecutionRow, ExecutionStepRow
from tests.factories.flows import flow
from tests.integration.agents.flows import flow_of
from tests.integration.agents.workers import TENANT, a_tenant, a_worker, caller, service


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await a_tenant(database)
    yield database
    await database.dispose()


async def _stored(database: Database, execution_id: str) -> int:
    """Return the characters kept of an execution: its steps, its events and its own row."""
    steps, events, row = ExecutionStepRow, ExecutionEventRow, ExecutionRow
    queries = [
        select(func.sum(func.length(func.coalesce(steps.output, "")) + 100)).where(steps.execution_id == execution_id),
        select(func.sum(func.length(events.data) + 100)).where(events.execution_id == execution_id),
        select(func.length(func.coalesce(row.result, ""))).where(row.id == execution_id),
    ]
    return sum([int((await database.rows(query))[0][0]) for query in queries])


async def test_C27_a_thousand_turns_keep_ten_times_what_a_hundred_do(database: Database, tmp_path: Path) -> None:
    """Each turn keeps what it came to, and not again what those before it did."""
    asked = service(database, tmp_path)
    body = flow({"turn": ("template", {"template": {"n": "{{ item.n + 1 }}", "said": "x" * 200}})})
    kept: dict[int, int] = {}
    async with a_worker(database, tmp_path):
        for turns in (100, 1_000):
            looped = {"initial": {"n": 0}, "body": body, "max_iterations": turns}
            flow_id = await flow_of(
                database, TENANT, flow({"start": ("input", {}), "l": ("loop", looped)}, ("start", "l"))
            )
            started = await asked.start(caller(), NewExecution(flow_id=flow_id))
            view = await asked.wait(caller(), started.execution_id, 240)
            assert (view.status, view.result["n"]) == ("completed", turns)
            kept[turns] = await _stored(database, started.execution_id)
    assert kept[1_000] < 10.5 * kept[100]
