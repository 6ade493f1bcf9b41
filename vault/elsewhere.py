"""Values in a store that joins no transaction of ours: written before there is one, destroyed when one is over.

What is to be destroyed is a row, of its own commit or of the catalogue's: neither a crash nor a store that is away
makes anybody forget it.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.errors import Conflict
from core.ids import IdSource, TenantId
from core.log import get_logger
from stores.secret_removals import due_removals, note_failure, put_removal, take_removal
from stores.sql.engine import Database, Session
from stores.sql.models import SecretRemovalRow
from vault.store import Place, SecretBroken, SecretStore

log = get_logger()

# No request lasts nearly as long: a value that is no version by then was cut off.
_CUT_OFF_AFTER = timedelta(hours=1)
_AT_ONCE = 200
# So many one after another, and the store is away; fewer, and it is these that it refuses.
_MOST_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A value that is there and can be read, and the row that has it destroyed unless it is settled."""

    stored_as: str
    removal_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    database: Database
    store: SecretStore
    clock: Clock
    new_id: IdSource

    async def write(self, tenant_id: TenantId, key: str, value: bytes) -> Written:
        """Write a value and read it back. Call it before the unit of work writes anything: it commits by itself."""
        written_as = self.new_id()
        removal = self._removal(tenant_id, key, written_as, later=_CUT_OFF_AFTER)
        async with self.database.transaction(independent=True) as session:
            await put_removal(session, removal)
        where = place_of(tenant_id, key)
        stored_as = await self.store.write(where, value, written_as=written_as)
        if not hmac.compare_digest(await self.store.read(where, stored_as), value):
            raise SecretBroken("What was stored is not what is read back.")
        return Written(stored_as=stored_as, removal_id=removal.id)

    async def settle(self, session: Session, written: Written) -> None:
        """Let the value stay, if this transaction commits. Raises Conflict if it took so long that it is gone."""
        if not await take_removal(session, written.removal_id):
            raise Conflict("This took too long. Try again.")

    async def doom(self, session: Session, tenant_id: TenantId, values: Iterable[tuple[str, str]]) -> None:
        """Have these values, each a key and how it is stored, destroyed once this transaction has committed."""
        doomed = [self._removal(tenant_id, key, stored_as) for key, stored_as in values]
        for row in doomed:
            await put_removal(session, row)

        async def at_once() -> None:
            await self._destroy(doomed, most_failures=1)  # somebody is waiting

        await self.database.when_committed(at_once)

    async def doom_tenant(self, session: Session, tenant_id: TenantId) -> None:
        """Have everything of the tenant destroyed once this transaction has committed."""
        await self.doom(session, tenant_id, [("", "")])

    async def destroy_due(self) -> int:
        """Destroy what was not yet; return how many rows of it there were. Run it again and again.

        What failed often comes last: one that the store refuses for good holds up no other.
        """
        destroyed = 0
        while found := await self.database.read(due_removals(self.clock.now(), limit=_AT_ONCE)):
            done = await self._destroy(found)
            destroyed += done
            if not done or len(found) < _AT_ONCE:
                break
        return destroyed

    async def _destroy(self, doomed: Sequence[SecretRemovalRow], *, most_failures: int = _MOST_FAILURES) -> int:
        """Destroy one after another, until so many fail on end; return how many it were. Rows of the others stay."""
        done = failures = 0
        for row in doomed:
            try:
                await self._destroy_one(row)
            except Exception as error:
                log.warning("secret.not_destroyed_yet", removal=row.id, error=type(error).__name__)
                async with self.database.transaction() as session:
                    await note_failure(session, row.id)
                failures += 1
                if failures == most_failures:
                    break
            else:
                done, failures = done + 1, 0
        return done

    async def _destroy_one(self, row: SecretRemovalRow) -> None:
        tenant_id = TenantId(row.tenant_id)
        if row.key:
            await self.store.destroy(place_of(tenant_id, row.key), row.stored_as)
        else:
            await self.store.forget_tenant(tenant_id)
        async with self.database.transaction() as session:
            await take_removal(session, row.id)

    def _removal(
        self, tenant_id: TenantId, key: str, stored_as: str, *, later: timedelta = timedelta()
    ) -> SecretRemovalRow:
        due_at = self.clock.now() + later
        return SecretRemovalRow(
            id=self.new_id(), tenant_id=tenant_id, key=key, stored_as=stored_as, due_at=due_at, attempts=0
        )


def place_of(tenant_id: TenantId, key: str) -> Place:
    """Return where values of a secret belong. Their versions are not known when they are written; each is named."""
    return Place(tenant_id=tenant_id, key=key, version=0)
