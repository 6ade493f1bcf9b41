"""The dispatcher: hands out events as they are committed, sends what is due, and writes down what came of it.

It goes in turns of one transaction each, woken by the bell, by an attempt that ended, or by its own patience. So much
is in flight at once and no more, counted until it is written down: that is also the most that can be told twice when
the process is killed.
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field

from core.log import get_logger, may_fail
from server.webhooks.dispatch.delivery import Claimed, Ended
from server.webhooks.dispatch.post import Post
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from stores.redis import Bell
from stores.sql.engine import Database, Reader, Writer

log = get_logger()

# One commit for all that ends so soon after one another.
_GATHERING_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatcher:
    """Runs until told to stop. Several may run side by side."""

    database: Database
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
    _ended: list[Ended] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _rung: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. What is not answered `grace_seconds` later is left to its lease."""
        listening = asyncio.create_task(self._listen())
        stopping = asyncio.create_task(self._wake_at(stop))
        while not stop.is_set():
            self._wake.clear()
            self._rung.clear()
            if not await self._turn():
                await self._rest()
        listening.cancel()
        stopping.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=self.grace_seconds)
        for sending in self._sending:
            sending.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.grace_seconds):
                await self._write_down_the_last()
        await asyncio.gather(listening, stopping, *self._sending, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            if await self.bell.wait(self.poll_seconds):
                self._rung.set()
                self._wake.set()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._rung.set()
        self._wake.set()

    async def _rest(self) -> None:
        """Wait for something to do. A poll finds what no bell announced, so Redis may vanish without loss."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.poll_seconds):
                await self._wake.wait()
                if self._under_way.total() > len(self._ended) and not self._rung.is_set():
                    # More will end soon, and nobody waits for what is only to be written down.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_GATHERING_SECONDS):
                            await self._rung.wait()

    async def _turn(self) -> bool:
        """Write down what ended, hand out what is new and claim what is due; whether there was anything to do."""
        ended = list(self._ended)
        try:
            done, claimed = await self._committed(ended)
            self._forget(ended)
        except Exception:  # the database is away, say: the dispatcher outlives it
            log.exception("webhooks.turn_failed")
            done, claimed = False, await self._one_by_one(ended)
        for delivery in claimed:
            self._begin(delivery)
        return done

    async def _one_by_one(self, ended: list[Ended]) -> list[Claimed]:
        """Do what works of a turn that failed: an event that cannot be handed out must not hold up the others."""
        await self._finish(ended)
        with may_fail("handing out events"):
            await self.relay.hand_out()
        claimed: list[Claimed] = []
        with may_fail("claiming deliveries"):
            room = self.in_flight - self._under_way.total()
            claimed = await self.deliveries.claim(limit=room, per_endpoint=self.per_endpoint, under_way=self._under_way)
        return claimed

    def _forget(self, ended: list[Ended]) -> None:
        del self._ended[: len(ended)]
        for attempt in ended:
            self._under_way[attempt.claimed.recipient.endpoint_id] -= 1

    async def _committed(self, ended: list[Ended]) -> tuple[bool, list[Claimed]]:
        under_way = self._under_way - Counter(attempt.claimed.recipient.endpoint_id for attempt in ended)
        room = self.in_flight - under_way.total()

        def look(reader: Reader) -> bool:
            return self.relay.any_untold(reader) or (room > 0 and self.deliveries.any_due(reader))

        def work(writer: Writer) -> tuple[bool, list[Claimed]]:
            self.deliveries.end(writer, ended)
            handed = self.relay.tell(writer)
            claimed = self.deliveries.take(writer, limit=room, per_endpoint=self.per_endpoint, under_way=under_way)
            return bool(ended or handed or claimed), claimed

        if not ended and not await self.database.read(look):
            return False, []
        return await self.database.write(work)

    async def _write_down_the_last(self) -> None:
        # As long as it takes, or may: what is not written down is told again when its lease ends.
        while self._ended:
            await self._finish(list(self._ended))
            if self._ended:
                await asyncio.sleep(self.poll_seconds)

    async def _finish(self, ended: list[Ended]) -> None:
        with may_fail("writing down attempts"):
            await self.deliveries.finish(ended)
            self._forget(ended)

    def _begin(self, delivery: Claimed) -> None:
        self._under_way[delivery.recipient.endpoint_id] += 1
        task = asyncio.create_task(self._try(delivery))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _try(self, delivery: Claimed) -> None:
        self._ended.append(await self.post.send(delivery))
        self._wake.set()
