"""The worker: takes executions that are due, runs many at once, and lets go of what is another's."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import LeaseLost, ServiceUnavailable
from core.log import get_logger
from core.tasks import ended
from server.agents.executor.journal import Cancelled
from server.agents.worker.claimed import Claimed
from server.agents.worker.journal import SqlJournal
from server.agents.worker.service import Ledger
from server.agents.worker.working import Workshop
from stores.redis import Bell

log = get_logger()

# Taken in one transaction: more would keep others from writing for too long.
_MOST_AT_ONCE = 32
# A cancellation is seen within this, unless the execution writes something before.
_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.5


@dataclass(slots=True, kw_only=True, eq=False)
class _Held:
    claimed: Claimed
    task: "asyncio.Task[None]"
    cancelled: bool = False
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Runs until told to stop. Any number may run side by side, on any number of machines.

    A lease is renewed five times before it ends. Whoever finds its lease taken stops without a trace: nothing is
    written down without the fence of whoever holds the execution.
    """

    ledger: Ledger
    workshop: Workshop
    bell: Bell
    owner: str
    in_flight: int
    per_tenant: int
    poll_seconds: float = 0.5
    grace_seconds: float = 5.0
    _held: dict[str, _Held] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then hand back what is not over."""
        beside = [
            asyncio.create_task(each) for each in (self._listen(), self._renew(), self._watch(), self._heed(stop))
        ]
        try:
            while not stop.is_set():
                self._news.clear()
                if not await self._take():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), self.poll_seconds)
            await self._hand_back()
        finally:
            await ended(*beside)

    def cancel(self, execution_id: str) -> None:
        """Stop an execution that somebody has called off."""
        held = self._held.get(execution_id)
        if held is not None and not held.cancelled:
            held.cancelled = True
            held.task.cancel()

    async def _take(self) -> bool:
        """Take what is due as far as there is room; return whether there may be more."""
        room = min(self.in_flight - len(self._held), _MOST_AT_ONCE)
        if room <= 0:
            return False
        try:
            taken = await self.ledger.claim(owner=self.owner, room=room, per_tenant=self.per_tenant)
        except ServiceUnavailable:
            log.warning("agents.claim_failed")
            await asyncio.sleep(_PAUSE_SECONDS)
            return False
        for claimed in taken:
            # Its lease ran out while this process stood still, and it is its own heir.
            if (before := self._held.get(claimed.id)) is not None:
                before.lost = True
                before.task.cancel()
            held = _Held(claimed=claimed, task=asyncio.create_task(self._work(claimed)))
            self._held[claimed.id] = held
            held.task.add_done_callback(lambda _, held=held: self._let_go(held))  # type: ignore[misc]
        return len(taken) == room

    def _let_go(self, held: _Held) -> None:
        if self._held.get(held.claimed.id) is held:
            del self._held[held.claimed.id]
        self._news.set()

    async def _work(self, claimed: Claimed) -> None:
        journal: SqlJournal | None = None
        try:
            journal = await self.workshop.open(claimed)
            await self.workshop.run(claimed, journal)
        except asyncio.CancelledError:
            held = self._held.get(claimed.id)
            if held is None or held.lost or not held.cancelled:
                raise
            await self._end_cancelled(claimed, journal)
        except LeaseLost:
            log.info("agents.lease_lost", execution=claimed.id)
        except ServiceUnavailable:  # its lease ends, and whoever takes it goes on
            log.warning("agents.execution_interrupted", execution=claimed.id)
        except Exception:
            log.exception("agents.execution_broke", execution=claimed.id)

    async def _end_cancelled(self, claimed: Claimed, journal: SqlJournal | None) -> None:
        with contextlib.suppress(LeaseLost, ServiceUnavailable):
            journal = journal or await self.workshop.open(claimed)
            if journal.is_ended:  # it came to its end just before
                await journal.settled()
            else:
                await self.workshop.end(claimed, journal, Cancelled())

    async def _listen(self) -> None:
        while True:
            if await self.bell.wait(self.poll_seconds):
                self._news.set()

    async def _heed(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._news.set()

    async def _renew(self) -> None:
        """Hold on to what is held. Each renewal is for the whole lease from its own beginning."""
        while True:
            await asyncio.sleep(self.ledger.lease.total_seconds() / 5)
            if fences := self._fences():
                with contextlib.suppress(ServiceUnavailable):
                    await self.ledger.renew(fences)

    async def _watch(self) -> None:
        """Stop what somebody has called off, and what has become another's."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if fences := self._fences():
                with contextlib.suppress(ServiceUnavailable):
                    self._judge(fences, await self.ledger.standing(list(fences)))

    def _judge(self, fences: Mapping[str, int], standing: Mapping[str, tuple[int, bool]]) -> None:
        for name, fence in fences.items():
            held = self._held.get(name)
            if held is None or held.claimed.fence != fence:
                continue
            now_fence, is_cancelled = standing.get(name, (fence, False))
            if now_fence != fence:
                held.lost = True
                held.task.cancel()
            elif is_cancelled:
                self.cancel(name)

    def _fences(self) -> dict[str, int]:
        return {name: held.claimed.fence for name, held in self._held.items()}

    async def _hand_back(self) -> None:
        """Give up what is under way, at whatever step it is, for others to take at once."""
        fences = self._fences()
        tasks = [held.task for held in self._held.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self.grace_seconds)
        if fences:
            with contextlib.suppress(ServiceUnavailable):
                await self.ledger.hand_back(fences)
