"""Follow executions by the numbers of their events: from any process, no gap, nothing twice, to the end.

The table of events is the truth. A hint from Redis says where to look at once; without it everybody looks every
second, with one query for all that are followed in this process. Nobody holds more than a page of what is to come.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from core.errors import ApiError, ResourceNotFound
from core.ids import TenantId, is_uuid
from core.log import get_logger
from core.tasks import ended
from server.agents.executions.following.repository import News, Standing, news_of, page_of
from server.agents.executions.following.told import Told, coalesced
from stores.hints import Hints
from stores.sql.engine import Database

log = get_logger()

PAGE_EVENTS = 200
_POLL_SECONDS = 1.0
# Of how many executions one query reads the news, and how many events.
_EXECUTIONS_AT_ONCE = 128
_EVENTS_AT_ONCE = 1_000
# What waits for one follower; whoever is slower reads on from the table.
_WAITING_EVENTS = 256


@dataclass(slots=True, eq=False)
class _Follower:
    """`behind`: what it needs next stands in the table, not in `waiting`."""

    waiting: deque[Told] = field(default_factory=deque)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    behind: bool = True
    standing: Standing | None = None

    def bring(self, news: News) -> None:
        self.standing = news.standing
        self.waiting.extend(news.events)
        if len(self.waiting) > _WAITING_EVENTS:
            self.waiting.clear()
            self.behind = True
        self.woken.set()

    def take(self) -> list[Told]:
        self.woken.clear()
        taken = list(self.waiting)
        self.waiting.clear()
        return taken


@dataclass(slots=True, eq=False)
class _Followed:
    """An execution that somebody here follows. `head`: the last number that was brought; None: nobody is there yet."""

    head: int | None = None
    followers: set[_Follower] = field(default_factory=set)


class Followers:
    """One a process."""

    def __init__(self, database: Database, hints: Hints, *, poll_seconds: float = _POLL_SECONDS) -> None:
        self._database = database
        self._hints = hints
        self._poll_seconds = poll_seconds
        self._followed: dict[str, _Followed] = {}
        self._rung: set[str] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self.queries = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Bring news while the block runs."""
        tasks = [asyncio.create_task(work()) for work in (self._listen, self._bring_forever)]
        try:
            yield
        finally:
            self.stop()
            await ended(*tasks)

    def stop(self) -> None:
        """Let everybody who follows here end: they go on in another process, with the last number they have."""
        self._stopping = True
        for followed in self._followed.values():
            for follower in followed.followers:
                follower.woken.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    def ring(self, execution_ids: Iterable[str]) -> None:
        """Look at once whether these have told something."""
        heard = self._followed.keys() & set(execution_ids)
        if heard:
            self._rung |= heard
            self._wake.set()

    async def page(self, tenant_id: TenantId, execution_id: str, *, after: int, limit: int) -> News:
        """Return up to `limit` events behind the number `after`. Raises ResourceNotFound."""
        news = await self._read(tenant_id, execution_id, after=after, limit=limit)
        if news.standing is None:
            raise ResourceNotFound("execution", execution_id)
        return news

    async def follow(self, tenant_id: TenantId, execution_id: str, *, after: int = 0) -> AsyncIterator[Sequence[Told]]:
        """Yield what the execution told behind the number `after`, in pieces, until it is over or this process stops.

        Deltas that came while nobody took them are one. Raises ResourceNotFound before the first piece.
        """
        await self.page(tenant_id, execution_id, after=after, limit=0)
        cursor = after
        with self._following(execution_id) as (followed, follower):
            while not self._stopping:
                news = await self._next(tenant_id, execution_id, cursor, followed, follower)
                events = [event for event in news.events if event.seq > cursor]
                if events and events[0].seq != cursor + 1:
                    follower.behind = True
                    continue
                if events:
                    cursor = events[-1].seq
                    yield coalesced(events)
                if news.standing is None or (news.standing.is_over and cursor >= news.standing.last_seq):
                    return

    async def _next(
        self, tenant_id: TenantId, execution_id: str, cursor: int, followed: _Followed, follower: _Follower
    ) -> News:
        if not follower.behind:
            await follower.woken.wait()
            return News(standing=follower.standing, events=follower.take())
        follower.take()  # all of it is in the table, too
        follower.behind = False
        news = await self._read(tenant_id, execution_id, after=cursor, limit=PAGE_EVENTS)
        follower.standing = news.standing
        if news.more:
            follower.behind = True
        elif followed.head is None:
            followed.head = news.events[-1].seq if news.events else cursor
            self._wake.set()  # somebody may have rung for it meanwhile
        return news

    @contextmanager
    def _following(self, execution_id: str) -> Iterator[tuple[_Followed, _Follower]]:
        followed, follower = self._followed.setdefault(execution_id, _Followed()), _Follower()
        followed.followers.add(follower)
        try:
            yield followed, follower
        finally:
            followed.followers.discard(follower)
            if not followed.followers and self._followed.get(execution_id) is followed:
                del self._followed[execution_id]
                self._rung.discard(execution_id)

    async def _read(self, tenant_id: TenantId, execution_id: str, *, after: int, limit: int) -> News:
        if not is_uuid(execution_id):
            return News(standing=None)
        self.queries += 1
        return await self._database.read(page_of(tenant_id, execution_id, after=after, limit=limit))

    async def _listen(self) -> None:
        async for execution_ids in self._hints.heard():
            self.ring(execution_ids)

    async def _bring_forever(self) -> None:
        loop = asyncio.get_running_loop()
        due_at = loop.time() + self._poll_seconds
        while not self._stopping:
            try:
                await asyncio.wait_for(self._wake.wait(), max(0.0, due_at - loop.time()))
            except TimeoutError:
                self._rung |= self._followed.keys()
                due_at = loop.time() + self._poll_seconds
            self._wake.clear()
            try:
                await self._bring()
            except ApiError as error:  # the database is away: the next look finds all of it
                log.warning("followers.blind", error=error.message)
                await asyncio.sleep(self._poll_seconds)
            except Exception:
                log.exception("followers.failed")
                await asyncio.sleep(self._poll_seconds)

    async def _bring(self) -> None:
        ready = [each for each in self._rung if each not in self._followed or self._followed[each].head is not None]
        self._rung.difference_update(ready)
        for start in range(0, len(ready), _EXECUTIONS_AT_ONCE):
            some = ready[start : start + _EXECUTIONS_AT_ONCE]
            followed = {each: self._followed[each] for each in some if each in self._followed}
            heads = {each: known.head for each, known in followed.items() if known.head is not None}
            if not heads:
                continue
            self.queries += 1
            for each, news in (await self._database.read(news_of(heads, limit=_EVENTS_AT_ONCE))).items():
                self._hand_out(each, followed[each], news)

    def _hand_out(self, execution_id: str, followed: _Followed, news: News) -> None:
        if news.events:
            followed.head = news.events[-1].seq
        over = news.standing is None or (news.standing.is_over and (followed.head or 0) >= news.standing.last_seq)
        if news.more:
            self.ring([execution_id])
        if news.events or over:
            for follower in followed.followers:
                follower.bring(news)
