"""The dispatcher: hands out events as they are committed, sends what is due, and writes down what came of it.

Woken by the bell, or by its own patience. So much is in flight at once and no more, counted until it is written down:
that is also the most that can be told twice when the process is killed.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

from core.log import get_logger
from server.webhooks.dispatch.delivery import Claimed, Ended
from server.webhooks.dispatch.post import Post
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from stores.redis import Bell

log = get_logger()

# One commit for all that ends so soon after one another.
_GATHERING_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Runs until told to stop. Several may run side by side."""

    relay: Relay
    deliveries: Deliveries
    post: Post
    bell: Bell
    in_flight: int = 32
    per_endpoint: int = 8
    poll_seconds: float = 1.0
    grace_seconds: float = 5.0
    _under_way: Counter[str] = field(default_factory=Counter)
    _sending: set[asyncio.Task[None]] = field(default_factory=set)
    _ended: "asyncio.Queue[Ended]" = field(default_factory=asyncio.Queue)
    _rung: asyncio.Event = field(default_factory=asyncio.Event)
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. What is not answered `grace_seconds` later is left to its lease."""
        loops = [asyncio.create_task(each) for each in (self._listen(), self._hand_out(), self._send(), self._note())]
        await stop.wait()
        for task in loops[:-1]:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=self.grace_seconds)
        for sending in self._sending:
            sending.cancel()
        with_in_time = asyncio.wait_for(self._ended.join(), self.grace_seconds)
        await asyncio.gather(with_in_time, return_exceptions=True)
        loops[-1].cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            if await self.bell.wait(self.poll_seconds):
                self._rung.set()

    async def _hand_out(self) -> None:
        while True:
            self._rung.clear()
            try:
                handed = await self.relay.hand_out()
            except Exception:  # the database is away, say: the dispatcher outlives it
                log.exception("webhooks.relay_failed")
                handed = 0
            self._due.set()
            if not handed:
                # Rung or not: a poll each second finds what no bell announced, so Redis may vanish without loss.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._rung.wait(), self.poll_seconds)

    async def _send(self) -> None:
        while True:
            self._due.clear()
            try:
                claimed = await self._claim()
            except Exception:
                log.exception("webhooks.claim_failed")
                claimed = []
                await asyncio.sleep(self.poll_seconds)
            for delivery in claimed:
                self._begin(delivery)
            if not claimed:
                await self._due.wait()

    async def _claim(self) -> list[Claimed]:
        room = self.in_flight - self._under_way.total()
        if room < 1:
            return []
        return await self.deliveries.claim(limit=room, per_endpoint=self.per_endpoint, under_way=self._under_way)

    def _begin(self, delivery: Claimed) -> None:
        self._under_way[delivery.recipient.endpoint_id] += 1
        task = asyncio.create_task(self._try(delivery))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _try(self, delivery: Claimed) -> None:
        self._ended.put_nowait(await self.post.send(delivery))

    async def _note(self) -> None:
        while True:
            ended = [await self._ended.get()]
            await asyncio.sleep(_GATHERING_SECONDS)
            while not self._ended.empty():
                ended.append(self._ended.get_nowait())
            await self._write_down(ended)
            for attempt in ended:
                self._under_way[attempt.claimed.recipient.endpoint_id] -= 1
                self._ended.task_done()
            self._due.set()

    async def _write_down(self, ended: list[Ended]) -> None:
        # As long as it takes: what is not written down is told again when its lease ends.
        while True:
            try:
                await self.deliveries.finish(ended)
            except Exception:
                log.exception("webhooks.finish_failed")
                await asyncio.sleep(self.poll_seconds)
            else:
                return
