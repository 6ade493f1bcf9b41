"""Executions from their acceptance to their end, over real databases, with the worker in this process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import select

from core.errors import Conflict
from server.agents.executions.schemas import ExecutionView, ForkBody, Patch, ResumeBody, StepsQuery
from server.agents.executions.service import ExecutionService, NewExecution
from server.agents.nodes.base import Called, Done, Effect, NodeConfig, NodeFailed, Step, Usage
from server.agents.nodes.ports import Portless
from stores.sql.engine import Database
from stores.sql.models import ExecutionEventRow, ExecutionStepRow, OutboxRow
from tests.factories.flows import flow
from tests.integration.agents.flows import flow_of
from tests.integration.agents.workers import TENANT, a_tenant, a_worker, caller, service

INPUT = ("input", {})
PATIENCE_SECONDS = 60


class Scripted(Portless):
    """A node type that does what a test says."""

    name = title = description = "scripted"
    config_model = NodeConfig
    output_schema: ClassVar[Any] = {}
    raw_fields: ClassVar[Any] = frozenset()

    def __init__(self, run: Callable[[Step[Any]], Any], effect: Effect = Effect.CALL) -> None:
        self.run = run
        self.effect = effect  # type: ignore[misc]  # each test's own


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await a_tenant(database)
    yield database
    await database.dispose()


@pytest.fixture
def asked(database: Database, tmp_path: Path) -> ExecutionService:
    return service(database, tmp_path)


async def over(asked: ExecutionService, execution_id: str) -> ExecutionView:
    view = await asked.wait(caller(), execution_id, PATIENCE_SECONDS)
    assert view.is_over, view
    return view


async def until(asked: ExecutionService, execution_id: str, status: str) -> ExecutionView:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (view := await asked.get(caller(), execution_id)).status != status:
            await asyncio.sleep(0.02)
    return view


async def start(asked: ExecutionService, flow_id: str, given: Any = None, **more: Any) -> str:
    return (await asked.start(caller(), NewExecution(flow_id=flow_id, input=given, **more))).execution_id


async def events(database: Database, execution_id: str) -> list[tuple[int, str, dict[str, Any]]]:
    query = select(ExecutionEventRow).where(ExecutionEventRow.execution_id == execution_id)
    async with database.reading() as session:
        rows = (await session.scalars(query.order_by(ExecutionEventRow.seq))).all()
    return [(row.seq, row.type, json.loads(row.data)) for row in rows]


async def test_execution_is_run_and_told_without_a_gap(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    """Steps, events and the outbox all say the same, a large output is kept beside them, and nothing is left open."""
    nodes = {
        "in": INPUT,
        "large": ("template", {"template": "{{ input.word }}" * 3000}),
        "ask": ("condition", {"expression": "input.n > 1"}),
        "no": ("template", {"template": "never"}),
        "out": ("output", {"value": {"n": "{{ input.n }}", "\x00": "\ud800"}}),
    }
    edges = [("in", "large"), ("large", "ask"), ("ask", "out", "true"), ("ask", "no", "false"), ("no", "out")]
    flow_id = await flow_of(database, TENANT, flow(nodes, *edges))
    async with a_worker(database, tmp_path):
        view = await over(asked, await start(asked, flow_id, {"word": "abcdef", "n": 7}))
    assert (view.status, view.result, view.error) == ("completed", {"n": 7, "\x00": "\ud800"}, None)
    steps = (await asked.steps(caller(), view.execution_id, StepsQuery())).items
    assert [(step.node_id, step.status) for step in steps] == [
        *(("in", "completed"), ("large", "completed"), ("ask", "completed"), ("no", "skipped"), ("out", "completed")),
    ]
    assert steps[1].output == "abcdef" * 3000
    told = await events(database, view.execution_id)
    assert [seq for seq, _, _ in told] == list(range(1, len(told) + 1))
    assert [kind for _, kind, _ in told] == [
        "execution.started",
        *(["node.started", "node.completed"] * 4),
        "execution.completed",
    ]
    async with database.reading() as session:
        outside = (await session.scalars(select(OutboxRow.type).order_by(OutboxRow.sequence))).all()
    assert list(outside) == ["agent.execution.started", "agent.execution.completed"]


async def test_failure_ends_it_and_resumption_goes_on_from_there(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    """What is finished is not run again; what failed is, and only when somebody asks for it."""
    runs = {"before": 0, "fails": 0}

    async def before(_step: Step[Any]) -> Done:
        runs["before"] += 1
        return Done(output=1)

    async def fails(_step: Step[Any]) -> Done:
        runs["fails"] += 1
        if runs["fails"] < 3:
            raise NodeFailed("Not yet.", code="NOT_YET")
        return Done(output=runs["fails"])

    nodes = {"in": INPUT, "b": ("before", {}), "f": ("fails", {})}
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "b"), ("b", "f")))
    types = {"before": Scripted(before), "fails": Scripted(fails)}
    async with a_worker(database, tmp_path, types=types):
        execution_id = await start(asked, flow_id)
        view = await over(asked, execution_id)
        assert view.error is not None
        assert (view.status, view.error.code, runs) == ("failed", "NOT_YET", {"before": 1, "fails": 1})
        for status in ("failed", "completed"):
            await asked.resume(caller(), execution_id, ResumeBody())
            view = await over(asked, execution_id)
            assert view.status == status
        assert (view.result, runs) == (3, {"before": 1, "fails": 3})
        with pytest.raises(Conflict):
            await asked.resume(caller(), execution_id, ResumeBody())


async def test_retry_waits_and_fallback_edge_is_taken(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    tries = []

    async def fails(step: Step[Any]) -> Done:
        tries.append(step.attempt)
        raise NodeFailed("Busy.", code="BUSY", retriable=True)

    retry = {"attempts": 3, "delay_seconds": 0.01}
    nodes = {
        "in": INPUT,
        "f": ("fails", {"retry": retry}),
        "plan_b": ("template", {"template": "{{ nodes.f.output }}"}),
    }
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "f"), ("f", "plan_b", "error")))
    async with a_worker(database, tmp_path, types={"fails": Scripted(fails)}):
        view = await over(asked, await start(asked, flow_id))
    assert (view.status, tries) == ("completed", [1, 2, 3])
    assert view.result == {"error": {"code": "BUSY", "message": "Busy."}}


async def test_person_is_waited_for_and_answers(database: Database, asked: ExecutionService, tmp_path: Path) -> None:
    nodes = {"in": INPUT, "ask": ("human", {"prompt": "May it?", "choices": ["yes", "no"]}), "go": ("output", {})}
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "ask"), ("ask", "go", "yes")))
    async with a_worker(database, tmp_path):
        execution_id = await start(asked, flow_id)
        view = await until(asked, execution_id, "waiting")
        assert [wait.path for wait in view.waits] == ["ask"]
        await asked.respond(caller(), execution_id, None, "yes")
        assert (await over(asked, execution_id)).result == "yes"
        with pytest.raises(Conflict):
            await asked.respond(caller(), execution_id, None, "yes")


async def test_signal_that_came_before_is_taken(database: Database, asked: ExecutionService, tmp_path: Path) -> None:
    flow_id = await flow_of(
        database, TENANT, flow({"in": INPUT, "w": ("wait_signal", {"signal": "paid"})}, ("in", "w"))
    )
    execution_id = await start(asked, flow_id)
    assert not (await asked.signal(caller(), execution_id, "paid", {"sum": 3})).taken
    async with a_worker(database, tmp_path):
        assert (await over(asked, execution_id)).result == {"sum": 3}


async def test_cancelled_execution_stops_and_begins_no_other_node(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def slow(_step: Step[Any]) -> Done:
        begun.set()
        await asyncio.sleep(PATIENCE_SECONDS)
        raise AssertionError("it was called off")

    nodes = {"in": INPUT, "s": ("slow", {"timeout_seconds": 600}), "after": ("template", {"template": "x"})}
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "s"), ("s", "after")))
    async with a_worker(database, tmp_path, types={"slow": Scripted(slow)}):
        execution_id = await start(asked, flow_id)
        await begun.wait()
        began = asyncio.get_running_loop().time()
        await asked.cancel(caller(), execution_id)
        view = await over(asked, execution_id)
        took = asyncio.get_running_loop().time() - began
    assert view.status == "cancelled"
    assert took < 10  # two seconds, on a machine that is not busy
    async with database.reading() as session:
        steps = dict((await session.execute(select(ExecutionStepRow.node_id, ExecutionStepRow.state))).all())  # type: ignore[arg-type]
    assert steps == {"in": "completed", "s": "cancelled"}
    assert [kind for _, kind, _ in await events(database, execution_id)][-1] == "execution.cancelled"


async def test_budget_pauses_and_more_of_it_goes_on(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    """The call that would go beyond is not made; the one before is not made again."""
    made = []

    async def dear(step: Step[Any]) -> Done:
        async def ask(key: str) -> Called:
            made.append(key)
            return Called(result="said", usage=Usage(cost_micros=600_000, calls=1))

        return Done(output=await step.call("ask", ask))

    nodes = {"in": INPUT, "a": ("dear", {}), "b": ("dear", {})}
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "a"), ("a", "b")))
    async with a_worker(database, tmp_path, types={"dear": Scripted(dear)}):
        execution_id = await start(asked, flow_id, max_cost_micros=1_000_000)
        await until(asked, execution_id, "waiting")
        assert len(made) == 1
        await asked.resume(caller(), execution_id, ResumeBody(max_cost=2.0))
        view = await over(asked, execution_id)
        failing = await over(asked, await start(asked, flow_id, max_cost_micros=1_000_000, on_budget="fail"))
    assert (view.status, view.result, len(set(made)), len(made)) == ("completed", "said", 3, 3)
    assert view.usage.cost == 1.2
    assert failing.status == "budget_exhausted"


async def test_deadline_ends_also_what_waits(database: Database, asked: ExecutionService, tmp_path: Path) -> None:
    flow_id = await flow_of(database, TENANT, flow({"in": INPUT, "ask": ("human", {"prompt": "?"})}, ("in", "ask")))
    async with a_worker(database, tmp_path):
        view = await over(asked, await start(asked, flow_id, deadline_seconds=0.3))
    assert view.status == "expired"


async def test_fork_reuses_what_the_change_does_not_lead_to(
    database: Database, asked: ExecutionService, tmp_path: Path
) -> None:
    runs: list[str] = []

    async def noted(step: Step[Any]) -> Done:
        async def ask(_key: str) -> Called:
            return Called(result=step.path, usage=Usage(cost_micros=250_000))

        runs.append(step.path)
        return Done(output=await step.call("ask", ask))

    nodes = {"in": INPUT, "a": ("noted", {}), "b": ("noted", {}), "out": ("output", {"value": "{{ nodes.a.output }}!"})}
    flow_id = await flow_of(database, TENANT, flow(nodes, ("in", "a"), ("in", "b"), ("a", "out"), ("b", "out")))
    async with a_worker(database, tmp_path, types={"noted": Scripted(noted)}):
        first = await over(asked, await start(asked, flow_id))
        fork = await asked.fork(
            caller(), first.execution_id, ForkBody(from_node="b", patch=Patch(outputs={"a": "other"}))
        )
        view = await over(asked, fork.execution_id)
    assert sorted(runs) == ["a", "b", "b"]
    assert (first.result, view.result) == ("a!", "other!")
    assert view.fork is not None
    assert (view.fork.reused_nodes, view.fork.cost_saved) == (["a", "in"], 0.25)
    assert [change.node for change in view.fork.output_changes or []] == ["a", "out"]


async def test_one_tenant_does_not_hold_up_another(database: Database, asked: ExecutionService, tmp_path: Path) -> None:
    """Of five hundred that wait, the other tenant's one is not the last."""
    other = await a_tenant(database, type(TENANT)("00000000-0000-7000-8000-000000000002"))
    order: list[str] = []

    async def noted(step: Step[Any]) -> Done:
        order.append(step.tenant_id)
        return Done(output=None)

    definition = flow({"in": INPUT, "n": ("noted", {})}, ("in", "n"))
    many, one = await flow_of(database, TENANT, definition), await flow_of(database, other, definition)
    for _ in range(60):
        await start(asked, many)
    view = await asked.start(caller(other), NewExecution(flow_id=one))
    async with a_worker(database, tmp_path, types={"noted": Scripted(noted)}, in_flight=4, per_tenant=2):
        await asked.wait(caller(other), view.execution_id, PATIENCE_SECONDS)
        assert order.index(other) < 20
