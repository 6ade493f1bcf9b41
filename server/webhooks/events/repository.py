"""The log of a tenant's events, in SQL."""

from collections.abc import Sequence

from sqlalchemy import select

from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import OutboxRow


async def events_after(
    database: Database, tenant_id: TenantId, number: int, *, types: Sequence[str], limit: int
) -> Sequence[OutboxRow]:
    """Return the events that have a number greater than this, in their order.

    Numbers are given one transaction after another, so whoever sees one sees all before it.
    """
    query = select(OutboxRow).where(OutboxRow.tenant_id == tenant_id, OutboxRow.number > number)
    if types:
        query = query.where(OutboxRow.type.in_(types))
    async with database.reading() as session:
        return list(await session.scalars(query.order_by(OutboxRow.number).limit(limit)))
