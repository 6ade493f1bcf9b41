"""A client that takes nothing is let go, and nothing piles up for it meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from core.clock import FrozenClock
from core.ids import TenantId
from server.agents.executions.following.repository import News, Standing
from server.agents.executions.following.told import Told
from server.agents.socket.service import Sockets
from server.auth.principal import Principal, Scope

NOW = datetime(2026, 11, 23, tzinfo=UTC)
CALLER = Principal(tenant_id=TenantId("t"), scopes=frozenset({Scope.AGENTS_READ}))


class EndlessFollowers:
    """An execution that never stops telling, and counts what was taken of it."""

    is_stopping = False

    def __init__(self) -> None:
        self.taken = 0

    async def page(self, *_: Any, **__: Any) -> News:
        return News(standing=Standing(state="running", last_seq=0))

    async def follow(self, *_: Any, after: int) -> AsyncIterator[Sequence[Told]]:
        while True:
            self.taken += 1
            yield [Told(execution_id="e", seq=after + self.taken, type="node.started", data="{}", at=NOW)]


class StuckWire:
    """A client that hears `takes` messages and then no more."""

    def __init__(self, *messages: Any, takes: int) -> None:
        self._messages = [json.dumps(message).encode() for message in messages]
        self._takes = takes
        self.heard: list[Any] = []
        self.failed: list[int] = []

    async def receive(self) -> bytes:
        if not self._messages:
            await asyncio.Future()
        return self._messages.pop(0)

    async def send(self, text: str) -> None:
        if len(self.heard) == self._takes:
            await asyncio.Future()
        self.heard.append(json.loads(text))

    def fail(self, code: int, reason: str) -> None:
        self.failed.append(code)


async def test_who_takes_nothing_is_let_go() -> None:
    """With 4429; of an execution that tells without end no more is read than was taken, and one."""
    followers, counted = EndlessFollowers(), list[Principal]()

    async def recognise(_token: str, _tenant: str | None) -> Principal:
        return CALLER

    async def count(caller: Principal) -> None:
        counted.append(caller)

    sockets = Sockets(
        executions=cast(Any, SimpleNamespace()),
        followers=cast(Any, followers),
        clock=FrozenClock(NOW),
        parse=json.loads,
        recognise=recognise,
        count=count,
        slow_seconds=0.05,
    )
    wire = StuckWire({"type": "subscribe", "execution_id": "e"}, takes=10)
    async with asyncio.timeout(30):
        await sockets.serve(wire, token="t", tenant=None)
    assert wire.failed == [4429]
    assert [message["type"] for message in wire.heard] == ["ready", "subscribed", *["node.started"] * 8]
    assert followers.taken == 9
    assert len(counted) == 1
    assert sockets.connected == {}
