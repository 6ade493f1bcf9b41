"""Tenants and memberships in SQL. A tenant that was deleted is found by nobody."""

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import TenantId, UserId
from server.openapi.pagination import Place, Slice
from stores.sql.keyset import oldest_first
from stores.sql.models import MembershipRow, Role, TenantRow, UserRow


def memberships_of(user_id: UserId) -> Select[str, str, str]:
    """Return the query for tenant, role and the tenant's plan of each membership, the oldest first."""
    return (
        select(MembershipRow.tenant_id, MembershipRow.role, TenantRow.plan)
        .join(TenantRow, TenantRow.id == MembershipRow.tenant_id)
        .where(MembershipRow.user_id == user_id, TenantRow.deleted_at.is_(None))
        .order_by(MembershipRow.created_at, MembershipRow.tenant_id)
    )


class TenantRepository:
    """The living tenants of a user; and one tenant, held while it is changed."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page(self, user_id: UserId, *, place: Place, limit: int) -> Slice[tuple[TenantRow, MembershipRow]]:
        """Return one page of the user's tenants with the membership in each, the oldest membership first."""
        mine = (
            select(TenantRow, MembershipRow)
            .join(MembershipRow, TenantRow.id == MembershipRow.tenant_id)
            .where(MembershipRow.user_id == user_id, TenantRow.deleted_at.is_(None))
        )
        total = await self._session.scalar(
            select(func.count()).select_from(mine.with_only_columns(TenantRow.id).subquery())
        )
        page = oldest_first(
            mine,
            MembershipRow.created_at,
            MembershipRow.tenant_id,
            after=place.after,
            offset=place.offset,
            limit=limit + 1,
        )
        rows = (await self._session.execute(page)).all()
        return Slice.of([(tenant, membership) for tenant, membership in rows], limit=limit, total=total or 0)

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

    async def page(self, *, place: Place, limit: int) -> Slice[tuple[MembershipRow, UserRow]]:
        """Return one page, the oldest membership first."""
        total = await self._session.scalar(
            select(func.count()).select_from(MembershipRow).where(MembershipRow.tenant_id == self._tenant_id)
        )
        page = oldest_first(
            self._members(),
            MembershipRow.created_at,
            MembershipRow.user_id,
            after=place.after,
            offset=place.offset,
            limit=limit + 1,
        )
        rows = (await self._session.execute(page)).all()
        return Slice.of([(membership, user) for membership, user in rows], limit=limit, total=total or 0)

    async def find(self, user_id: UserId) -> tuple[MembershipRow, UserRow] | None:
        found = (await self._session.execute(self._members().where(MembershipRow.user_id == user_id))).one_or_none()
        return (found[0], found[1]) if found is not None else None

    async def owners(self) -> int:
        """Return how many owners there are; true for as long as the tenant's row is held."""
        query = select(func.count()).where(
            MembershipRow.tenant_id == self._tenant_id, MembershipRow.role == Role.OWNER.value
        )
        return int(await self._session.scalar(query) or 0)

    async def user_with(self, email: str) -> UserRow | None:
        """Return who may be added under this address."""
        return await self._session.scalar(select(UserRow).where(UserRow.email == email, UserRow.disabled_at.is_(None)))

    async def add(self, row: MembershipRow) -> None:
        self._session.add(row)
        await self._session.flush()

    async def remove(self, row: MembershipRow) -> None:
        await self._session.delete(row)
        await self._session.flush()
