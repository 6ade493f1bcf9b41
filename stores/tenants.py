"""Tenants, for those who find one by what the installation calls it."""

from sqlalchemy import bindparam, select

from core.ids import TenantId
from stores.sql.engine import Database
from stores.sql.models import TenantRow

# The tenant that `make up` makes.
DEVELOPMENT = "development"

_NAMED = (
    select(TenantRow.id)
    .where(TenantRow.name == bindparam("name"), TenantRow.deleted_at.is_(None))
    .order_by(TenantRow.created_at, TenantRow.id)
    .limit(1)
)


async def oldest_tenant_named(database: Database, name: str) -> TenantId | None:
    """Return the oldest tenant of that name. Names are not unique: only the installation's own may be found so."""
    found = await database.rows(_NAMED, {"name": name})
    return TenantId(found[0][0]) if found else None


async def every_tenant(database: Database) -> list[TenantId]:
    """Return all tenants, also those that were deleted."""
    return [TenantId(tenant_id) for (tenant_id,) in await database.rows(select(TenantRow.id).order_by(TenantRow.id))]
