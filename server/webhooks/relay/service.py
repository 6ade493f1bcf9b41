"""Hand out what was committed: number each tenant's events, and make a delivery for each endpoint that wants one.

Both happen in one transaction, so an event is handed out once, whoever is killed meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from server.webhooks.relay import repository
from stores.sql.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Any number of processes may have one; they take turns."""

    database: Database
    clock: Clock
    new_id: Callable[[], str]
    most_events: int = 500

    async def hand_out(self) -> int:
        """Hand out the oldest events that were not yet; return how many there were."""
        if not await repository.any_untold(self.database):
            return 0
        async with self.database.transaction() as session:
            events = await repository.untold(session, self.most_events)
            if events:
                await repository.number(session, events)
                await repository.address(session, events, now=self.clock.now(), new_id=self.new_id)
            return len(events)
