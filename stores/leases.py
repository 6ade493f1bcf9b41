"""One writer at a time: a named lease in SQL with a fence that only grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from core.clock import Clock
from core.errors import LeaseLost
from core.log import may_fail
from stores.sql.engine import Database
from stores.sql.models import LeaseRow

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    name: str
    owner: str
    fence: int
    expires_at: datetime


class Leases:
    """Leases survive nobody: a holder that dies is replaced when its time is up.

    Taken and given back in transactions of their own: one that only its own unit of work saw would keep nobody out.
    """

    def __init__(self, database: Database, clock: Clock, lifetime: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._lifetime = lifetime

    @asynccontextmanager
    async def hold(self, name: str, owner: str) -> AsyncIterator[Lease]:
        """Wait until the lease is free, hold it for the block, give it back. `owner` must be unique per holder."""
        while (lease := await self._take(name, owner)) is None:
            await asyncio.sleep(_POLL_SECONDS)
        try:
            yield lease
        finally:
            with may_fail("giving back a lease"):  # it ends by itself otherwise
                await self._give_back(lease)

    def confirm(self, lease: Lease, needed: timedelta) -> None:
        """Raise LeaseLost unless the lease lasts `needed` longer: call it right before the write it guards."""
        if self._clock.now() + needed >= lease.expires_at:
            raise LeaseLost(f"The lease on {lease.name} ran out before the write began.")

    async def _take(self, name: str, owner: str) -> Lease | None:
        now = self._clock.now()
        expires_at = now + self._lifetime
        if await self._is_held(name):  # asked without the write lock: SQLite has one, and who waits asks often
            return None
        async with self._database.transaction(independent=True) as session:
            row = await session.scalar(select(LeaseRow).where(LeaseRow.name == name).with_for_update())
            if row is not None:
                if row.owner is not None and row.expires_at > now:
                    return None
                row.owner, row.expires_at, row.fence = owner, expires_at, row.fence + 1
                return Lease(name=name, owner=owner, fence=row.fence, expires_at=expires_at)
        return await self._create(name, owner, expires_at)

    async def _is_held(self, name: str) -> bool:
        async with self._database.reading() as session:
            found = await session.execute(select(LeaseRow.owner, LeaseRow.expires_at).where(LeaseRow.name == name))
            row = found.first()
        return row is not None and row.owner is not None and row.expires_at > self._clock.now()

    async def _create(self, name: str, owner: str, expires_at: datetime) -> Lease | None:
        try:
            async with self._database.transaction(independent=True) as session:
                session.add(LeaseRow(name=name, owner=owner, fence=1, expires_at=expires_at))
        except IntegrityError:  # another holder made the row first
            return None
        return Lease(name=name, owner=owner, fence=1, expires_at=expires_at)

    async def _give_back(self, lease: Lease) -> None:
        async with self._database.transaction(independent=True) as session:
            await session.execute(
                update(LeaseRow)
                .where(
                    LeaseRow.name == lease.name,
                    LeaseRow.owner == lease.owner,
                    LeaseRow.fence == lease.fence,
                )
                .values(owner=None)
            )
