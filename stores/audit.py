"""Who did what, appended in the transaction that did it, each entry holding the hash of the one before."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.ids import TenantId, new_id
from core.log import current_request_id
from stores.sql.models import AuditEventRow, AuditHeadRow

# What the first entry of every chain is linked to.
GENESIS = "0" * 64
_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a walk along a chain found: how many links hold, the newest hash, and what is wrong with the next."""

    links: int
    head: str = field(default=GENESIS, compare=False)  # differs in each chain: every entry has an id of its own
    fault: str | None = None

    @property
    def holds(self) -> bool:
        return self.fault is None


class AuditLog:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def append(
        self,
        session: AsyncSession,
        tenant_id: TenantId,
        *,
        actor: str,
        action: str,
        resource_type: str,
        resource_id: str,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Add an entry to `session`'s transaction, and hold the tenant's chain until it ends.

        `details` are shown to whoever may read the log: no secret belongs there.
        """
        head = await _held_head(session, tenant_id)
        row = AuditEventRow(
            tenant_id=tenant_id,
            sequence=head.sequence + 1,
            id=new_id(),
            occurred_at=self._clock.now(),
            actor=actor,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            request_id=current_request_id(),
            details=dict(details or {}),
            previous_hash=head.hash,
        )
        row.hash = link_hash(row)
        session.add(row)
        head.sequence, head.hash = row.sequence, row.hash


async def _held_head(session: AsyncSession, tenant_id: TenantId) -> AuditHeadRow:
    head = await _locked(session, tenant_id)
    if head is None:
        try:
            async with session.begin_nested():  # another request may be writing the tenant's first entry as well
                session.add(AuditHeadRow(tenant_id=tenant_id, sequence=0, hash=GENESIS))
        except IntegrityError:
            pass
        head = await _locked(session, tenant_id)
    assert head is not None
    return head


async def _locked(session: AsyncSession, tenant_id: TenantId) -> AuditHeadRow | None:
    return await session.get(AuditHeadRow, tenant_id, with_for_update=True, populate_existing=True)


def link_hash(row: AuditEventRow) -> str:
    """Return the SHA-256 over every field of the entry and the hash before it, each with its length in front."""
    digest = hashlib.sha256()
    for part in (
        row.tenant_id,
        str(row.sequence),
        row.id,
        row.occurred_at.isoformat(),
        row.actor,
        row.action,
        row.resource_type,
        row.resource_id,
        row.request_id or "",
        json.dumps(row.details, sort_keys=True, ensure_ascii=False, separators=(",", ":")),
        row.previous_hash,
    ):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


async def verify(session: AsyncSession, tenant_id: TenantId) -> Verdict:
    """Walk the tenant's chain from its first entry to its head; stop at the first link that does not hold."""
    links, previous = 0, GENESIS
    while page := list(await session.scalars(_entries_after(tenant_id, links))):
        for row in page:
            fault = _fault(row, links + 1, previous)
            if fault is not None:
                return Verdict(links=links, head=previous, fault=fault)
            links, previous = links + 1, row.hash
        session.expunge_all()
    head = await session.get(AuditHeadRow, tenant_id)
    at = (head.sequence, head.hash) if head is not None else (0, GENESIS)
    if at != (links, previous):
        return Verdict(links=links, head=previous, fault=f"the chain ends at entry {links}, and its head says {at[0]}")
    return Verdict(links=links, head=previous)


async def chained_tenants(session: AsyncSession) -> list[TenantId]:
    """Return every tenant that has entries, or a head that says so."""
    found = await session.scalars(select(AuditHeadRow.tenant_id).union(select(AuditEventRow.tenant_id)))
    return sorted(TenantId(tenant_id) for tenant_id in found)


def _entries_after(tenant_id: TenantId, sequence: int) -> Any:
    return (
        select(AuditEventRow)
        .where(AuditEventRow.tenant_id == tenant_id, AuditEventRow.sequence > sequence)
        .order_by(AuditEventRow.sequence)
        .limit(_PAGE)
    )


def _fault(row: AuditEventRow, expected: int, previous: str) -> str | None:
    if row.sequence != expected:
        return f"entry {expected} is missing"
    if row.previous_hash != previous:
        return f"entry {expected} does not follow the one before it"
    if row.hash != link_hash(row):
        return f"entry {expected} was changed"
    return None
