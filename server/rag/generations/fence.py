"""Writers are held off the index that answers while the next one catches up with it: for seconds, and nothing is lost.

A lane that wants to write waits for the table's lease with its jobs in hand; afterwards it finds that another index
answers, and does them for that one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta

from core.errors import Conflict, LeaseLost
from core.ids import new_id
from stores.generations import Generation
from stores.lance.schema import table_name
from stores.leases import Lease, Leases
from stores.sql.engine import Database
from stores.sql.models import IndexPointerRow

# Documents that a candidate may lack when writers are held off: what is indexed in a few seconds.
MOST_BEHIND = 1_000
# What must be left of the lease for the transaction that moves the pointer.
_MOVE_TIME = timedelta(seconds=1)
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Around the table of `active`, until the request ends."""

    active: Generation
    lease: Lease
    leases: Leases
    deadline: float

    async def wait_until(self, in_step: Callable[[], Awaitable[bool]]) -> None:
        """Return when it is so, when the time is up, or when the lease is: the gate tells them apart."""
        with suppress(LeaseLost):
            while asyncio.get_running_loop().time() < self.deadline and not await in_step():
                self.leases.confirm(self.lease, _MOVE_TIME)
                await asyncio.sleep(_POLL_SECONDS)

    def still_holds(self, pointer: IndexPointerRow) -> bool:
        """Whether nobody can have written to what `pointer` names since the fence went up."""
        try:
            self.leases.confirm(self.lease, _MOVE_TIME)
        except LeaseLost:
            return False
        return pointer.generation_id == self.active.id


async def fenced_off(leases: Leases, database: Database, active: Generation, *, patience: timedelta) -> Fence:
    """Hold the lease of the active table until the unit of work has ended. Raises Conflict if it cannot be had."""
    held = AsyncExitStack()
    try:
        async with asyncio.timeout(patience.total_seconds() + _MOVE_TIME.total_seconds()):
            name = f"lance:{table_name(active.tenant_id, active.table_space)}"
            lease = await held.enter_async_context(leases.hold(name, new_id()))
    except TimeoutError:
        raise Conflict("The index is being written to all the time. Try again in a moment.") from None
    if not database.when_ended(held.aclose):
        await held.aclose()
        raise RuntimeError("a fence outlives no unit of work, and there is none")
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    return Fence(active=active, lease=lease, leases=leases, deadline=deadline)
