"""What is written down of a secret: uses, entries of the audit log, events. None says what it is."""

from dataclasses import dataclass
from typing import Any

from core.clock import Clock
from core.events import EventType
from core.ids import IdSource, TenantId
from stores.audit import AuditLog
from stores.outbox import Outbox
from stores.secrets import Secrets
from stores.sql.engine import Session
from stores.sql.models import SecretRow, SecretUseRow
from vault.access import Reader

RESOURCE = "secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    outbox: Outbox
    audit: AuditLog
    clock: Clock
    new_id: IdSource

    async def used(self, session: Session, catalogue: Secrets, row: SecretRow, number: int, reader: Reader) -> None:
        """A version was given out."""
        used = {"principal": reader.principal, "flow": reader.flow, "execution": reader.execution}
        catalogue.add_use(
            SecretUseRow(
                id=self.new_id(),
                secret_id=row.id,
                tenant_id=row.tenant_id,
                version=number,
                host=reader.host,
                used_at=self.clock.now(),
                **used,
            )
        )
        await self.log(session, row, reader.principal, "accessed", version=number, **reader.purpose)
        self._tell(session, row, EventType.VAULT_SECRET_ACCESSED, {"key": row.key, "version": number, **used})

    async def denied(self, session: Session, row: SecretRow, number: int | None, reader: Reader, reason: str) -> None:
        """A version was asked for, and not given out."""
        await self.log(session, row, reader.principal, "denied", version=number, reason=reason)
        told = {
            "key": row.key,
            "version": number,
            "principal": reader.principal,
            "flow": reader.flow,
            "execution": reader.execution,
            "reason": reason,
        }
        self._tell(session, row, EventType.VAULT_SECRET_DENIED, told)

    def tell_written(self, session: Session, row: SecretRow, by: str, *, first: bool = False) -> None:
        kind = EventType.VAULT_SECRET_CREATED if first else EventType.VAULT_SECRET_ROTATED
        self._tell(session, row, kind, {"key": row.key, "version": row.version, "principal": by})

    async def destroyed(self, session: Session, row: SecretRow, by: str, versions: list[int], *, whole: bool) -> None:
        await self.log(session, row, by, "destroyed", versions=versions, whole=whole)
        told = {"key": row.key, "versions": versions, "principal": by}
        self._tell(session, row, EventType.VAULT_SECRET_DESTROYED, told)

    async def log(self, session: Session, row: SecretRow, by: str, action: str, **details: Any) -> None:
        """Add an entry to the tenant's audit log."""
        await self.audit.append(
            session,
            TenantId(row.tenant_id),
            actor=by,
            action=f"secret.{action}",
            resource_type=RESOURCE,
            resource_id=row.key,
            details=details,
        )

    def _tell(self, session: Session, row: SecretRow, kind: EventType, told: dict[str, Any]) -> None:
        self.outbox.append(session, TenantId(row.tenant_id), kind, told, subject=row.id)
