"""The base of every repository: made with its session and tenant, so no query can forget either."""

from typing import TypeVar

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import TenantId
from stores.sql.models import Base

Row = TypeVar("Row", bound=Base)


class TenantRepository:
    """Finders go through `rows_of`, which always carries the tenant."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self.tenant_id = tenant_id

    def rows_of(self, model: type[Row]) -> Select[Row]:
        """Return `SELECT model WHERE tenant_id = …`, to be narrowed further. Raises KeyError if no tenant owns them."""
        return select(model).where(model.__table__.c["tenant_id"] == self.tenant_id)
