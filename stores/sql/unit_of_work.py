"""One request, one transaction: services inside it join, and what must wait for the commit waits."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

AfterCommit = Callable[[], Awaitable[None]]

current: ContextVar["UnitOfWork | None"] = ContextVar("unit_of_work", default=None)


class UnitOfWork:
    """Begins its transaction when the first service asks for one, so that nothing is locked before.

    It belongs to one task: tasks that a service starts must not share its session.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._opened = AsyncExitStack()
        self._session: AsyncSession | None = None
        self._failed = False
        self._after: list[AfterCommit] = []
        self._ended: list[AfterCommit] = []
        self.is_open = True

    @property
    def has_begun(self) -> bool:
        return self._session is not None

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[AsyncSession]:
        """Yield the session. A block that raises dooms the whole unit, even if somebody catches the error."""
        if self._session is None:
            self._session = await self._opened.enter_async_context(self._sessions())
            await self._session.begin()
        try:
            yield self._session
            await self._session.flush()  # a fault of this block shows here, not at a distance
        except BaseException:
            self._failed = True
            raise

    def after_commit(self, callback: AfterCommit) -> None:
        self._after.append(callback)

    def when_ended(self, callback: AfterCommit) -> None:
        self._ended.append(callback)

    async def commit(self) -> None:
        """Make everything so far true, then do what was waiting for it. Later transactions are on their own."""
        if self._failed:
            raise RuntimeError("a transaction that failed cannot be committed")
        self.is_open = False
        if self._session is not None:
            await self._session.commit()
        await self._opened.aclose()
        for callback in self._after:
            await callback()

    async def roll_back(self) -> None:
        self.is_open = False
        if self._session is not None:
            await self._session.rollback()
        await self._opened.aclose()

    async def end(self) -> None:
        """Do what was waiting for the end of it, good or bad. Nothing of this unit is locked any more."""
        while self._ended:
            await self._ended.pop()()
