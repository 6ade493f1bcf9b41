"""A crash at every single call that the executor makes of its journal, and every one of them recovered from."""

import copy
import random
from collections import Counter
from typing import Any

import pytest

from core.clock import FrozenClock
from server.agents.executor.journal import Completed
from server.agents.executor.memory import MemoryJournal
from tests.factories.flows import run_flow
from tests.factories.random_flows import drawn, expected, types

_COUNTED = ("begin", "complete", "fail", "skip", "wait", "call", "settled")


class Killed(BaseException):
    """The process is gone: nothing that follows is done."""


class CrashingJournal(MemoryJournal):
    """Ends the process at its `crash_at`-th call, before or after the call is noted.

    What was noted is lost unless it was settled since: as with the commits of the real one.
    """

    def __init__(self, crash_at: int, *, after: bool) -> None:
        super().__init__(FrozenClock().now)
        self.calls_made = 0
        self._crash_at = crash_at
        self._after = after
        self._commit()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in _COUNTED:
            return found
        if name == "settled":

            async def settled() -> None:
                self._counted(lambda: self._commit())

            return settled
        return lambda *given, **named: self._counted(lambda: found(*given, **named))

    def _counted(self, do: Any) -> Any:
        self.calls_made += 1
        crashes = self.calls_made == self._crash_at
        if crashes and not self._after:
            raise Killed
        done = do()
        if crashes:
            raise Killed
        return done

    def _commit(self) -> None:
        self._kept = copy.deepcopy((self.outputs, self.pasts, self.calls, self.usage))

    def recover(self) -> None:
        """Begin again with what was committed, and crash no more."""
        self.outputs, self.pasts, self.calls, self.usage = copy.deepcopy(self._kept)
        self._crash_at = -1


class World:
    """Whom the flows call: each call with its place, key and number."""

    def __init__(self) -> None:
        self.called: list[tuple[str, str, int]] = []

    async def __call__(self, where: str, key: str, number: int) -> int:
        self.called.append((where, key, number))
        return number * 7 % 1000


@pytest.mark.parametrize("after", [False, True], ids=["before it is noted", "after it is noted"])
@pytest.mark.parametrize("seed", range(4))
async def test_every_crash_point_recovers(seed: int, after: bool) -> None:
    """The result is that of an uncrashed run; a key stands for one call, and what was committed is not done again."""
    definition, given = drawn(random.Random(seed)), seed * 13
    wanted = await expected(definition, given)
    crash_at = 0
    while True:
        crash_at += 1
        journal, world = CrashingJournal(crash_at, after=after), World()
        try:
            ending = await run_flow(definition, given, journal=journal, registry=types(world))
        except Killed:
            before = len(world.called)
            journal.recover()
            known = {f"e:{path}" for path in journal.outputs}
            ending = await run_flow(definition, given, journal=journal, registry=types(world))
            assert not known & {where for where, _, _ in world.called[before:]}
        else:
            assert journal.calls_made < crash_at
            break
        assert isinstance(ending, Completed)
        assert ending.result == wanted
        numbers: dict[str, set[tuple[str, int]]] = {}
        for where, key, number in world.called:
            numbers.setdefault(key, set()).add((where, number))
        assert all(len(each) == 1 for each in numbers.values())
        # Between an answer and its commit a crash makes one call again, of each branch that was under way.
        assert max(Counter(key for _, key, _ in world.called).values(), default=0) <= 2
    assert crash_at > 10
