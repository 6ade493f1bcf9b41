"""Tenants and memberships in SQL. A tenant that was deleted is found by nobody."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as Reader

from core.ids import TenantId, UserId
from server.openapi.pagination import Place
from stores.sql.keyset import Slice, oldest_first, slice_of
from stores.sql.models import InvitationRow, MembershipRow, Role, TenantRow, UserRow

First = TypeVar("First")
Second = TypeVar("Second")


def memberships_of(user_id: UserId) -> Select[str, str, str]:
    """Return the query for tenant, role and the tenant's plan of each membership, the oldest first."""
    return (
        select(MembershipRow.tenant_id, MembershipRow.role, TenantRow.plan)
        .join(TenantRow, TenantRow.id == MembershipRow.tenant_id)
        .where(MembershipRow.user_id == user_id, TenantRow.deleted_at.is_(None))
        .order_by(MembershipRow.created_at, MembershipRow.tenant_id)
    )


def tenants_of(
    user_id: UserId, *, place: Place, limit: int
) -> Callable[[Reader], Slice[tuple[TenantRow, MembershipRow]]]:
    """Return what reads one page of a user's tenants with the membership in each, the oldest membership first."""
    mine = (
        select(TenantRow, MembershipRow)
        .join(MembershipRow, TenantRow.id == MembershipRow.tenant_id)
        .where(MembershipRow.user_id == user_id, TenantRow.deleted_at.is_(None))
    )
    return _from_oldest(mine, MembershipRow.tenant_id, place=place, limit=limit)


def members_of(
    tenant_id: TenantId, *, place: Place, limit: int
) -> Callable[[Reader], Slice[tuple[MembershipRow, UserRow]]]:
    """Return what reads one page of a tenant's members, the oldest membership first."""
    theirs = (
        select(MembershipRow, UserRow)
        .join(UserRow, UserRow.id == MembershipRow.user_id)
        .where(MembershipRow.tenant_id == tenant_id)
    )
    return _from_oldest(theirs, MembershipRow.user_id, place=place, limit=limit)


def invitations_of(user_id: UserId, *, now: datetime, limit: int) -> Select[str, str, str, datetime, datetime]:
    """Return the query for what a user may still accept: tenant, its name, role, since when and until when."""
    return (
        select(
            InvitationRow.tenant_id,
            TenantRow.name,
            InvitationRow.role,
            InvitationRow.created_at,
            InvitationRow.expires_at,
        )
        .join(TenantRow, TenantRow.id == InvitationRow.tenant_id)
        .join(UserRow, UserRow.email == InvitationRow.email)
        .where(UserRow.id == user_id, InvitationRow.expires_at > now, TenantRow.deleted_at.is_(None))
        .order_by(InvitationRow.created_at.desc(), InvitationRow.id.desc())
        .limit(limit)
    )


def invited_into(tenant_id: TenantId, *, place: Place, limit: int) -> Callable[[Reader], Slice[InvitationRow]]:
    """Return what reads one page of a tenant's invitations, the oldest first; those that ended, too."""
    theirs = select(InvitationRow).where(InvitationRow.tenant_id == tenant_id)
    page = oldest_first(
        theirs, InvitationRow.created_at, InvitationRow.id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(theirs, page, limit=limit)


def _from_oldest(
    matching: Select[First, Second], row_id: InstrumentedAttribute[str], *, place: Place, limit: int
) -> Callable[[Reader], Slice[tuple[First, Second]]]:
    page = oldest_first(
        matching, MembershipRow.created_at, row_id, after=place.after, offset=place.offset, limit=limit + 1
    )
    return slice_of(matching, page, limit=limit)


class TenantRepository:
    """The living tenants of a user; and one tenant, held while it is changed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, tenant_id: TenantId) -> TenantRow | None:
        return await self._session.scalar(self._living(tenant_id))

    async def locked(self, tenant_id: TenantId) -> TenantRow | None:
        """Return the tenant and hold its row: what concerns its members is decided one thing at a time.

        Rows that refer to it, such as entries of the audit log, can be written meanwhile: NO KEY UPDATE.
        """
        query = self._living(tenant_id).with_for_update(key_share=True)
        return await self._session.scalar(query.execution_options(populate_existing=True))

    async def add(self, row: TenantRow) -> None:
        self._session.add(row)
        await self._session.flush()  # its members refer to it

    @staticmethod
    def _living(tenant_id: TenantId) -> Select[TenantRow]:
        return select(TenantRow).where(TenantRow.id == tenant_id, TenantRow.deleted_at.is_(None))


class MemberRepository:
    """The members of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def _members(self) -> Select[MembershipRow, UserRow]:
        return (
            select(MembershipRow, UserRow)
            .join(UserRow, UserRow.id == MembershipRow.user_id)
            .where(MembershipRow.tenant_id == self._tenant_id)
            .execution_options(populate_existing=True)
        )

    async def find(self, user_id: UserId) -> tuple[MembershipRow, UserRow] | None:
        found = (await self._session.execute(self._members().where(MembershipRow.user_id == user_id))).one_or_none()
        return (found[0], found[1]) if found is not None else None

    async def owners(self) -> int:
        """Return how many owners there are; true for as long as the tenant's row is held."""
        query = select(func.count()).where(
            MembershipRow.tenant_id == self._tenant_id, MembershipRow.role == Role.OWNER.value
        )
        return int(await self._session.scalar(query) or 0)

    async def has(self, email: str) -> bool:
        """Whether a member has this address."""
        found = await self._session.scalar(
            select(UserRow.id)
            .join(MembershipRow, MembershipRow.user_id == UserRow.id)
            .where(MembershipRow.tenant_id == self._tenant_id, UserRow.email == email)
        )
        return found is not None

    async def add(self, row: MembershipRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: MembershipRow) -> None:
        await self._session.delete(row)
        await self._session.flush()


class InvitationRepository:
    """The invitations into one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def find(self, invitation_id: str) -> InvitationRow | None:
        return await self._session.scalar(self._all().where(InvitationRow.id == invitation_id))

    async def to(self, email: str) -> InvitationRow | None:
        """Return the one to this address."""
        return await self._session.scalar(self._all().where(InvitationRow.email == email))

    async def user(self, user_id: UserId) -> UserRow | None:
        """Return who is to join."""
        return await self._session.get(UserRow, user_id)

    async def add(self, row: InvitationRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: InvitationRow) -> None:
        await self._session.delete(row)
        await self._session.flush()

    def _all(self) -> Select[InvitationRow]:
        return (
            select(InvitationRow)
            .where(InvitationRow.tenant_id == self._tenant_id)
            .execution_options(populate_existing=True)
        )
