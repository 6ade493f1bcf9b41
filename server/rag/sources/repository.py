"""Sources of one tenant and their crawls, in SQL."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from stores.sources import OPEN_CRAWLS
from stores.sql.models import CrawlRow, SourceRow
from stores.sql.repository import TenantRepository


class SourceRepository(TenantRepository):
    async def all(self) -> Sequence[SourceRow]:
        return list(await self._session.scalars(self.rows_of(SourceRow).order_by(SourceRow.name)))

    async def count(self) -> int:
        return await self._session.scalar(select(func.count()).select_from(self.rows_of(SourceRow).subquery())) or 0

    async def find(self, source_id: str) -> SourceRow | None:
        return await self._session.scalar(self.rows_of(SourceRow).where(SourceRow.id == source_id))

    async def locked(self, source_id: str) -> SourceRow | None:
        query = self.rows_of(SourceRow).where(SourceRow.id == source_id).with_for_update()
        return await self._session.scalar(query)

    async def add(self, row: SourceRow) -> bool:
        """Return whether the name was free."""
        try:
            async with self._session.begin_nested():  # PostgreSQL forgives an error only up to a savepoint
                self._session.add(row)
        except IntegrityError:
            return False
        return True

    async def open_crawl(self, source_id: str) -> CrawlRow | None:
        query = self.rows_of(CrawlRow).where(CrawlRow.source_id == source_id, CrawlRow.state.in_(OPEN_CRAWLS))
        return await self._session.scalar(query)

    async def add_crawl(self, crawl: CrawlRow) -> None:
        self._session.add(crawl)
        await self._session.flush()

    async def crawls(self, source_id: str, *, skip: int, limit: int) -> Sequence[CrawlRow]:
        query = self.rows_of(CrawlRow).where(CrawlRow.source_id == source_id)
        newest = query.order_by(CrawlRow.due_at.desc(), CrawlRow.id).offset(skip).limit(limit)
        return list(await self._session.scalars(newest))

    async def remove_crawls(self, source_id: str) -> None:
        """Delete the crawls of a source; one that is at work loses its lease, and writes nothing any more."""
        owned = (CrawlRow.tenant_id == self.tenant_id, CrawlRow.source_id == source_id)
        await self._session.execute(delete(CrawlRow).where(*owned))

    async def remove(self, row: SourceRow) -> None:
        await self._session.delete(row)
        await self._session.flush()
