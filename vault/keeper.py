"""What happens to secrets without anybody asking: their ends are told of beforehand, deleted ones are destroyed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from core.errors import ResourceNotFound
from core.events import EventType
from core.ids import TenantId
from core.log import get_logger
from stores.secrets import deleted_before, ending, tenants_gone
from stores.sql.models import SecretRow
from vault.safe import Safe

log = get_logger()

WARNED_DAYS = (1, 7, 30)
_AT_ONCE = 200
_SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretKeeper:
    """Run again and again, by several at once if need be: each end is told of once."""

    safe: Safe

    async def tell_ends(self) -> int:
        """Append a warning 30, 7 and 1 day before a version ends, and that it has; return how many were new."""
        now, told, last = self.safe.clock.now(), 0, ""
        while found := await self._ending(last):
            async with self.safe.database.transaction() as session:
                for row in found:
                    assert row.expires_at is not None
                    left = row.expires_at - now
                    days = next((days for days in WARNED_DAYS if left <= timedelta(days=days)), None)
                    over = left <= timedelta(0)
                    kind = EventType.VAULT_SECRET_EXPIRED if over else EventType.VAULT_SECRET_EXPIRING
                    payload = {"key": row.key, "version": row.version, "expires_at": row.expires_at.isoformat()}
                    told += await self.safe.outbox.append_once(
                        session,
                        TenantId(row.tenant_id),
                        kind,
                        payload if over else payload | {"days": days},
                        key=f"{row.id}:{row.version}:{row.expires_at.isoformat()}:{'over' if over else days}",
                        subject=row.id,
                    )
            last = found[-1].id
        return told

    async def destroy_deleted(self) -> int:
        """Destroy secrets that cannot be undeleted any more; return how many. One that fails holds up no other."""
        over, destroyed = self.safe.clock.now() - self.safe.undelete_window, 0
        for row in await self.safe.database.read(deleted_before(over, limit=_AT_ONCE)):
            try:
                await self.safe.destroy_deleted(TenantId(row.tenant_id), row.key, by=_SYSTEM)
            except ResourceNotFound:  # undeleted, or destroyed by another, meanwhile
                continue
            except Exception:  # its store is away, say; the next tick comes back to it
                log.exception("secret.not_destroyed", resource_id=row.id)
                continue
            destroyed += 1
        return destroyed

    async def forget_tenants(self) -> int:
        """Make secrets of tenants that were deleted unreadable for good; return how many tenants that were."""
        forgotten = 0
        for tenant_id in await self.safe.database.read(tenants_gone):
            try:
                await self.safe.forget_tenant(tenant_id)
            except Exception:  # its store is away, say; the next tick comes back to it
                log.exception("secret.tenant_not_forgotten", tenant=tenant_id)
                continue
            forgotten += 1
        return forgotten

    async def destroy_elsewhere(self) -> int:
        """Destroy values elsewhere that nobody can have any more, and of writes that were cut off; return how many."""
        return await self.safe.elsewhere.destroy_due()

    async def _ending(self, after: str) -> Sequence[SecretRow]:
        before = self.safe.clock.now() + timedelta(days=max(WARNED_DAYS))
        return await self.safe.database.read(ending(before, limit=_AT_ONCE, after=after))
