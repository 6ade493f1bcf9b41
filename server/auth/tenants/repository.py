"""Tenants and memberships in SQL. A tenant that was deleted is found by nobody."""

from sqlalchemy import Select, select

from core.ids import UserId
from stores.sql.models import MembershipRow, TenantRow


def memberships_of(user_id: UserId) -> Select[str, str]:
    """Return the query for tenant and role of each membership, the oldest first."""
    return (
        select(MembershipRow.tenant_id, MembershipRow.role)
        .join(TenantRow, TenantRow.id == MembershipRow.tenant_id)
        .where(MembershipRow.user_id == user_id, TenantRow.deleted_at.is_(None))
        .order_by(MembershipRow.created_at, MembershipRow.tenant_id)
    )
