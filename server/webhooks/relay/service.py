"""Hand out what was committed: number each tenant's events, and make a delivery for each endpoint that wants one.

Both happen in one transaction, so an event is handed out once, whoever is killed meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock
from server.webhooks.relay import repository
from stores.sql.engine import Database, Reader, Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """Any number of processes may have one; they take turns."""

    database: Database
    clock: Clock
    new_id: Callable[[], str]
    most_events: int = 500

    async def hand_out(self) -> int:
        """Hand out the oldest events that were not yet; return how many there were."""
        return await self.database.write(self.tell) if await self.database.read(self.any_untold) else 0

    def any_untold(self, reader: Reader) -> bool:
        """Whether anything waits to be handed out."""
        return repository.any_untold(reader)

    def tell(self, writer: Writer) -> int:
        """Do it as a part of a transaction."""
        events = repository.untold(writer, self.most_events)
        if events:
            repository.number(writer, events)
            repository.address(writer, events, now=self.clock.now(), new_id=self.new_id)
        return len(events)
