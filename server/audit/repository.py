"""The audit log of one tenant in SQL, to be read: what appends to it is stores/audit.py."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ids import TenantId
from stores.sql.keyset import Slice, slice_of
from stores.sql.models import AuditEventRow


def page_of(
    tenant_id: TenantId,
    *,
    before: int | None,
    offset: int,
    limit: int,
    since: datetime | None,
    until: datetime | None,
    **equals: str | None,
) -> Callable[[Session], Slice[AuditEventRow]]:
    """Return what reads one page, newest first, from behind the entry `before`; `equals` are columns' values."""
    matching = select(AuditEventRow).where(AuditEventRow.tenant_id == tenant_id)
    for column, value in equals.items():
        if value is not None:
            matching = matching.where(getattr(AuditEventRow, column) == value)
    if since is not None:
        matching = matching.where(AuditEventRow.occurred_at >= since)
    if until is not None:
        matching = matching.where(AuditEventRow.occurred_at < until)
    page = matching if before is None else matching.where(AuditEventRow.sequence < before)
    page = page.order_by(AuditEventRow.sequence.desc()).offset(offset).limit(limit + 1)
    return slice_of(matching, page, limit=limit)
