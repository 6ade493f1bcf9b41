"""One database behind one door: SQLite or PostgreSQL, chosen by URL, transactions opened and closed here only."""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Engine, Row, Select, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session as SyncSession

from core.errors import ServiceUnavailable
from stores.sql.remembered import SqliteMemory
from stores.sql.sqlite_reads import SqliteReads
from stores.sql.sqlite_turns import SqliteTurns
from stores.sql.sqlite_writes import SqliteWrites
from stores.sql.unit_of_work import AfterCommit, UnitOfWork, current

# What a transaction is handed around as, by floors that speak no SQL themselves.
Session = AsyncSession
# The same where no step awaits.
Reader = SyncSession
Writer = SyncSession

Columns = TypeVarTuple("Columns")
Member = TypeVar("Member", bound=Hashable)
Result = TypeVar("Result")

# How long a writer waits for SQLite's one write lock before it gives up.
_SQLITE_BUSY_MILLISECONDS = 30_000
_TURN = "turn"


def _tune_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below: the driver would begin too late
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MILLISECONDS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # NORMAL may lose acknowledged commits when power fails
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()


def _begin_sqlite(engine: Engine, turns: SqliteTurns | None = None) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("read_only", False):
            connection.exec_driver_sql("BEGIN DEFERRED")
            return
        # The turn comes first, always: who had the lock and waited for the turn would wait for one who waits for it.
        if turns is not None:
            driver: Any = connection.connection.dbapi_connection
            connection.info[_TURN] = driver.run_async(lambda _: turns.take())
        # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later can then
        # neither fail with SQLITE_BUSY in the middle nor act on what another writer has changed meanwhile.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def give_back(_connection: Any, record: Any) -> None:
        if turns is not None and record.info.pop(_TURN, False):
            turns.give_back()


@contextmanager
def _answering() -> Iterator[None]:
    # What drivers raise when the server is away, the file is locked for too long or the disk is full.
    try:
        yield
    except (OperationalError, InterfaceError, ConnectionError) as error:
        raise ServiceUnavailable("The database is not answering. Try again in a moment.") from error


class Database:
    """A pool of connections. `transaction` writes and commits at its end; `reading` never writes.

    Inside `unit_of_work` both join its one transaction, which commits when the unit says so.
    """

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # Errors tell the statement and not its parameters, which hold what users wrote: they go to the log.
        # A server may have dropped an idle connection; a file cannot, and asking costs a tenth of a read.
        self.engine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=not self.is_sqlite,
            hide_parameters=True,
        )
        self._sqlite_reads: SqliteReads | None = None
        self._sqlite_writes: SqliteWrites | None = None
        self._memory: SqliteMemory | None = None
        if self.is_sqlite:
            file = self.url.database or ""
            self._turns = SqliteTurns(Path(file))
            _tune_sqlite(self.engine.sync_engine)
            _begin_sqlite(self.engine.sync_engine, self._turns)
            writer = create_engine(self.url.set(drivername="sqlite"), pool_size=1, max_overflow=0)
            _tune_sqlite(writer)
            _begin_sqlite(writer)
            self._sqlite_writes = SqliteWrites(writer)
            self._sqlite_reads = SqliteReads(self.url, threads=pool_size, busy_milliseconds=_SQLITE_BUSY_MILLISECONDS)
            self._memory = SqliteMemory(file)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def unit_of_work(self) -> AsyncIterator[UnitOfWork]:
        """Yield a unit that this task's transactions join. It is undone unless it is committed inside the block."""
        work = UnitOfWork(self._sessions)
        before = current.set(work)
        try:
            with _answering():
                yield work
        finally:
            current.reset(before)
            try:
                if work.is_open:
                    await work.roll_back()
            finally:
                await work.end()

    @asynccontextmanager
    async def transaction(self, *, independent: bool = False) -> AsyncIterator[AsyncSession]:
        """Yield a session whose work is committed at the end of the block, or undone if the block raises.

        `independent` commits by itself even inside a unit of work: for what must stay when the request fails.
        It has to come before the unit's own writes: on SQLite it would wait for them, and they for it.
        Raises ServiceUnavailable while the database does not answer.
        """
        work = _open_unit()
        if independent and work is not None and work.has_begun:
            raise RuntimeError("an independent transaction comes before what the unit of work writes")
        work = None if independent else work
        with _answering():
            if work is not None:
                async with work.joined() as session:
                    yield session
                return
            async with self._sessions() as session, session.begin():
                yield session

    @asynccontextmanager
    async def reading(self, *, of_one_moment: bool = False) -> AsyncIterator[AsyncSession]:
        """Yield a session for queries only; on SQLite it takes no write lock. Raises ServiceUnavailable.

        `of_one_moment`: what is committed between two queries shows in neither. SQLite is never otherwise.
        """
        work = _open_unit()
        with _answering():
            if work is not None and work.has_begun:  # what this unit has written is there for it to read
                async with work.joined() as session:
                    yield session
                return
            async with self._sessions() as session:
                options: dict[str, Any] = {"read_only": True}
                if of_one_moment and not self.is_sqlite:
                    options["isolation_level"] = "REPEATABLE READ"
                await session.connection(execution_options=options)
                yield session

    async def read(self, reading: Callable[[Reader], Result]) -> Result:
        """Return what `reading` returns of one moment of the database. It is a plain function: no step of it awaits.

        This is the cheapest way to read: on SQLite one change of threads for all. Raises ServiceUnavailable.
        """
        if self._sqlite_reads is not None and not _has_begun():
            with _answering():
                return await self._sqlite_reads.read(reading)
        async with self.reading(of_one_moment=True) as session:
            return await session.run_sync(reading)

    async def write(self, writing: Callable[[Writer], Result]) -> Result:
        """Commit what `writing` does and return what it returns. It is a plain function: no step of it awaits.

        This is the cheapest way to write: on SQLite one change of threads for all. Raises ServiceUnavailable.
        """
        if self._sqlite_writes is not None and _open_unit() is None:
            with _answering():
                async with self._turns.turn():
                    return await self._sqlite_writes.write(writing)
        async with self.transaction() as session:
            return await session.run_sync(writing)

    async def rows(self, query: Select[*Columns], given: Mapping[str, Any] | None = None) -> Sequence[Row[*Columns]]:
        """Return what one query finds, its parameters as `given`. Raises ServiceUnavailable."""
        return await self.read(lambda session: session.execute(query, given).all())

    async def unchanged(self, key: Hashable, read: Callable[[], Awaitable[Result]]) -> Result:
        """Return what `read` returns; on SQLite, what it returned for `key` before if nothing was committed since.

        For results that are values: the same one is returned to several callers.
        """
        if self._memory is None or _has_begun():
            return await read()
        with _answering():
            return await self._memory.unchanged(key, read)

    async def unchanged_of(
        self,
        key: Hashable,
        members: Sequence[Member],
        read: Callable[[Sequence[Member]], Awaitable[Mapping[Member, Result]]],
    ) -> Mapping[Member, Result]:
        """Return what `read` returns of `members`; on SQLite it is asked for each once until something is committed."""
        if self._memory is None or _has_begun():
            return await read(members)
        with _answering():
            return await self._memory.unchanged_of(key, members, read)

    @property
    def in_unit_of_work(self) -> bool:
        """Whether this task's transactions join one that somebody else will commit."""
        return _open_unit() is not None

    async def when_committed(self, callback: AfterCommit) -> None:
        """Call `callback` once what was written is true: at once, or after the commit of the unit of work."""
        work = _open_unit()
        if work is not None:
            work.after_commit(callback)
        else:
            await callback()

    def when_ended(self, callback: AfterCommit) -> bool:
        """Call `callback` once the unit of work has been committed or undone; False if there is none that is open."""
        work = _open_unit()
        if work is not None:
            work.when_ended(callback)
        return work is not None

    async def ping(self) -> None:
        """Raise ServiceUnavailable unless the database answers."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    async def dispose(self) -> None:
        if self._sqlite_reads is not None:
            self._sqlite_reads.close()
        if self._sqlite_writes is not None:
            self._sqlite_writes.close()
        if self._memory is not None:
            self._memory.close()
        await self.engine.dispose()
        if self.is_sqlite:
            self._turns.close()


def _open_unit() -> UnitOfWork | None:
    work = current.get()
    return work if work is not None and work.is_open else None


def _has_begun() -> bool:
    # What the unit has written is there for it to read, and for nobody else.
    work = _open_unit()
    return work is not None and work.has_begun
