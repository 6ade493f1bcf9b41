"""What people do with their accounts, on record in every tenant they belong to."""

from dataclasses import dataclass
from typing import Any

from core.ids import UserId
from server.auth.tenants.service import Memberships
from stores.audit import AuditLog
from stores.sql.engine import Session

SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLog:
    """One a process."""

    audit: AuditLog
    memberships: Memberships

    async def append(
        self,
        session: Session,
        user_id: UserId,
        *,
        action: str,
        resource_type: str = "user",
        resource_id: str | None = None,
        by_system: bool = False,
        **details: Any,
    ) -> None:
        """Add the same entry to the log of each of the user's tenants, in `session`'s transaction.

        `by_system` is for what nobody asked for. Without a `resource_id` it is about the user.
        """
        # Two of these that meet in several chains come one after the other: the order keeps them from a deadlock.
        for tenant_id in await self.memberships.tenants_of(session, user_id):
            await self.audit.append(
                session,
                tenant_id,
                actor=SYSTEM if by_system else f"user:{user_id}",
                action=action,
                resource_type=resource_type,
                resource_id=resource_id or user_id,
                details=details,
            )
