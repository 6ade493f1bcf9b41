"""Who belongs to which tenants, remembered for a moment."""

from collections import OrderedDict
from datetime import datetime, timedelta

from core.clock import Clock
from core.ids import TenantId, UserId
from server.auth.tenants.repository import memberships_of
from stores.sql.engine import Database
from stores.sql.models import Role

# A membership that ended, and a role that was lowered, may count for this long, and not longer.
_REMEMBERED_FOR = timedelta(seconds=5)
_REMEMBERED_USERS = 10_000

Membership = tuple[TenantId, Role]


class Memberships:
    """One a process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._seen: OrderedDict[UserId, tuple[datetime, list[Membership]]] = OrderedDict()

    async def of(self, user_id: UserId) -> list[Membership]:
        """Return the tenants of the user with the role in each, the oldest membership first."""
        now = self._clock.now()
        seen = self._seen.get(user_id)
        if seen is not None and now < seen[0]:
            return seen[1]
        rows = await self._database.rows(memberships_of(user_id))
        found = [(TenantId(tenant_id), Role(role)) for tenant_id, role in rows]
        self._seen.pop(user_id, None)
        self._seen[user_id] = (now + _REMEMBERED_FOR, found)  # counted from before the look-up
        if len(self._seen) > _REMEMBERED_USERS:
            self._seen.popitem(last=False)
        return found

    def forget(self, user_id: UserId) -> None:
        """Look again next time, in this process: what a user has just changed is there for them at once."""
        self._seen.pop(user_id, None)
