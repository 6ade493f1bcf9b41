"""Values of secrets that a store elsewhere is to destroy: a row each, until it has."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId
from stores.sql.models import SecretRemovalRow


async def put_removal(session: AsyncSession, row: SecretRemovalRow) -> None:
    session.add(row)
    await session.flush()


async def take_removal(session: AsyncSession, removal_id: str) -> bool:
    """Delete the row; whether it was there."""
    done = await session.execute(
        delete(SecretRemovalRow).where(SecretRemovalRow.id == removal_id).execution_options(synchronize_session=False)
    )
    assert isinstance(done, CursorResult)
    return bool(done.rowcount)


def due_removals(now: datetime, *, after: str, limit: int) -> Callable[[Reader], Sequence[SecretRemovalRow]]:
    """Return what reads rows of all tenants that are due, by id from behind one."""
    query = (
        select(SecretRemovalRow)
        .where(SecretRemovalRow.due_at <= now, SecretRemovalRow.id > after)
        .order_by(SecretRemovalRow.id)
        .limit(limit)
    )
    return lambda session: session.scalars(query).all()


def keys_of_removals(tenant_id: TenantId) -> Callable[[Reader], set[str]]:
    """Return what reads under which keys of a tenant something is, or may have to be, destroyed."""
    query = select(SecretRemovalRow.key).where(SecretRemovalRow.tenant_id == tenant_id)
    return lambda session: set(session.scalars(query))
