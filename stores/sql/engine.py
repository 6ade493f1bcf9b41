"""One database behind one door: SQLite or PostgreSQL, chosen by URL, transactions opened and closed here only."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from core.errors import ServiceUnavailable

# What a transaction is handed around as, by floors that speak no SQL themselves.
Session = AsyncSession

# How long a writer waits for SQLite's one write lock before it gives up.
_SQLITE_BUSY_MILLISECONDS = 30_000


def _tune_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below: the driver would begin too late
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # NORMAL may lose acknowledged commits when power fails
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later can then
        # neither fail with SQLITE_BUSY in the middle nor act on what another writer has changed meanwhile.
        reading = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE")


@contextmanager
def _answering() -> Iterator[None]:
    # What drivers raise when the server is away, the file is locked for too long or the disk is full.
    try:
        yield
    except (OperationalError, InterfaceError, ConnectionError) as error:
        raise ServiceUnavailable("The database is not answering. Try again in a moment.") from error


class Database:
    """A pool of connections. `transaction` writes and commits at its end; `reading` never writes."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # A server may have dropped an idle connection; a file cannot, and asking costs a tenth of a read.
        self.engine = create_async_engine(
            self.url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=not self.is_sqlite
        )
        if self.is_sqlite:
            _tune_sqlite(self.engine)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Yield a session whose work is committed at the end of the block, or undone if the block raises.

        Raises ServiceUnavailable while the database does not answer.
        """
        with _answering():
            async with self._sessions() as session, session.begin():
                yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yield a session for queries only; on SQLite it takes no write lock. Raises ServiceUnavailable."""
        with _answering():
            async with self._sessions() as session:
                await session.connection(execution_options={"read_only": True})
                yield session

    async def ping(self) -> None:
        """Raise ServiceUnavailable unless the database answers."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        await self.engine.dispose()
