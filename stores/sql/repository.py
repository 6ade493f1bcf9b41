"""The base of every repository: made with its session and tenant, so no query can forget either."""

from typing import Protocol, TypeVar, cast

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from core.ids import TenantId


class _TenantOwned(Protocol):
    tenant_id: Mapped[str]


Row = TypeVar("Row", bound=_TenantOwned)


class TenantRepository:
    """Finders go through `rows_of`, which always carries the tenant."""

    def __init__(self, session: AsyncSession, tenant_id: TenantId) -> None:
        self._session = session
        self.tenant_id = tenant_id

    def rows_of(self, model: type[Row]) -> Select[tuple[Row]]:
        """Return `SELECT model WHERE tenant_id = …`, to be narrowed further."""
        return cast("Select[tuple[Row]]", select(model).where(model.tenant_id == self.tenant_id))
