"""An agent of many turns: what it leaves in the database grows with the turns, and not with their square."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select

from core.clock import SystemClock
from server.agents.executions.service import NewExecution
from server.agents.nodes.registry import World, build_registry
from server.llm.base import Message, ToolCall, ToolOffer, Usage
from stores.sql.engine import Database
from stores.sql.models import ExecutionCallRow, ExecutionEventRow, ExecutionStepRow, OutboxRow
from tests.factories.flows import flow
from tests.integration.agents.flows import flow_of
from tests.integration.agents.workers import TENANT, a_tenant, a_worker, caller, service


class Talker:
    """A model that goes on calling a tool until the conversation has so many of its turns."""

    name = "talker"

    def __init__(self, turns: int) -> None:
        self._turns = turns
        self.most_characters = 0

    async def say(
        self, messages: Sequence[Message], *, max_tokens: int, tools: Sequence[ToolOffer] = ()
    ) -> AsyncIterator[str | ToolCall | Usage]:
        self.most_characters = max(self.most_characters, sum(len(each.content) for each in messages))
        turn = sum(message.role == "assistant" for message in messages) + 1
        yield f"This is turn {turn:04}, of which there are many."
        if turn < self._turns:
            yield ToolCall(id=f"c{turn:04}", name="echo", arguments=json.dumps({"text": f"{turn:04} " + "x" * 100}))
        yield Usage(prompt_tokens=turn, completion_tokens=9)


async def left_behind(database: Database, home: Path, turns: int) -> int:
    """Return how many bytes an agent of so many turns leaves: calls, steps, events, the outbox and blobs."""
    talker = Talker(turns)
    nowhere = cast(Any, None)
    world = World(answering=nowhere, answers=nowhere, models={"talker": talker}, egress=nowhere)
    types = build_registry(clock=SystemClock(), world=cast(World, _indexed(world)))
    echo = {"type": "flow", "name": "echo", "description": "Says it again.", "flow_id": ""}
    echoing = flow({"in": ("input", {}), "t": ("template", {"template": "{{ input.text }}"})}, ("in", "t"))
    echo["flow_id"] = await flow_of(database, TENANT, echoing)
    agent = {"model": "talker", "prompt": "Talk.", "tools": [echo], "max_turns": 1000}
    flow_id = await flow_of(database, TENANT, flow({"a": ("agent", agent)}))
    asked = service(database, home)
    async with a_worker(database, home, types=types):
        started = await asked.start(caller(), NewExecution(flow_id=flow_id, input=None))
        view = await asked.wait(caller(), started.execution_id, 120)
    assert view.status == "completed", view
    assert view.result["turns"] == turns
    bytes_left = sum(each.stat().st_size for each in (home / "executions").rglob("*") if each.is_file())
    async with database.reading() as session:
        for row_type in (ExecutionCallRow, ExecutionStepRow, ExecutionEventRow):
            mine = select(row_type).where(row_type.execution_id == view.execution_id)
            for row in (await session.scalars(mine)).all():
                bytes_left += _size(row)
        bytes_left += sum(_size(row) for row in (await session.scalars(select(OutboxRow))).all())
    # The whole conversation stood before the model, and is many times what one turn adds.
    assert talker.most_characters > 100 * (turns - 1)
    return bytes_left


def _indexed(world: World) -> World:
    class _Answering:
        indexes = None

    return World(answering=cast(Any, _Answering()), answers=world.answers, models=world.models, egress=world.egress)


def _size(row: Any) -> int:
    return sum(len(str(getattr(row, column.key))) for column in row.__table__.columns)


async def _grows(database_url: str, home: Path, few: int, many: int) -> None:
    database = Database(database_url)
    try:
        await a_tenant(database)
        one = await left_behind(database, home / "few", few)
        ten = await left_behind(database, home / "many", many)
    finally:
        await database.dispose()
    # With a copy of the conversation in each turn it would be a hundred times as much.
    assert ten / one < 1.2 * many / few, (one, ten)


async def test_storage_grows_with_the_turns(database_url: str, tmp_path: Path) -> None:
    """Ten times the turns leave ten times the bytes."""
    await _grows(database_url, tmp_path, 6, 60)


@pytest.mark.slow
async def test_storage_grows_with_a_thousand_turns(database_url: str, tmp_path: Path) -> None:
    await _grows(database_url, tmp_path, 100, 1000)
