"""Values of secrets that a store elsewhere is to destroy: a row each, until it has."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import CursorResult, delete, func, select, update
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


async def note_failure(session: AsyncSession, removal_id: str) -> None:
    """Count that the store did not do it."""
    await session.execute(
        update(SecretRemovalRow)
        .where(SecretRemovalRow.id == removal_id)
        .values(attempts=SecretRemovalRow.attempts + 1)
        .execution_options(synchronize_session=False)
    )


def due_removals(now: datetime, *, limit: int) -> Callable[[Reader], Sequence[SecretRemovalRow]]:
    """Return what reads rows of all tenants that are due, those first that failed least often."""
    query = (
        select(SecretRemovalRow)
        .where(SecretRemovalRow.due_at <= now)
        .order_by(SecretRemovalRow.attempts, SecretRemovalRow.id)
        .limit(limit)
    )
    return lambda session: session.scalars(query).all()


def count_removals(now: datetime) -> Callable[[Reader], tuple[int, int]]:
    """Return what reads how many rows are due, and how often one of them failed at most."""
    query = select(func.count(), func.coalesce(func.max(SecretRemovalRow.attempts), 0)).select_from(SecretRemovalRow)

    def count(session: Reader) -> tuple[int, int]:
        due, attempts = session.execute(query.where(SecretRemovalRow.due_at <= now)).one()
        return due, attempts

    return count


def keys_of_removals(tenant_id: TenantId) -> Callable[[Reader], set[str]]:
    """Return what reads under which keys of a tenant something is, or may have to be, destroyed."""
    query = select(SecretRemovalRow.key).where(SecretRemovalRow.tenant_id == tenant_id)
    return lambda session: set(session.scalars(query))
