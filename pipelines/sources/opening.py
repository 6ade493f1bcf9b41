"""Open the source that a crawl names: which type is which, and with what limits."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.clock import Clock
from core.errors import SourceDenied, UnsupportedFormat
from core.ids import new_id
from pipelines.sources.base import Source
from pipelines.sources.crawl import Crawler
from pipelines.sources.folder import FolderSource
from pipelines.sources.github import GitHub
from pipelines.sources.page import OnePage
from pipelines.sources.repository_address import RepositoryAddress
from pipelines.sources.robots import Robots
from pipelines.sources.sitemap import Sitemap
from pipelines.sources.web import WebPages
from stores.blobs import BlobStore
from stores.egress import Allowance, Egress
from stores.folders import Folder, is_below, missing_part
from stores.letterbox import Letterbox
from stores.members import Members
from stores.outbox import Outbox
from stores.sources import Crawl, Crawls
from stores.sql.engine import Database

if TYPE_CHECKING:
    from core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """One a process and event loop."""

    egress: Egress
    github: GitHub
    pages: WebPages
    folders: Sequence[str]
    max_file_bytes: int

    @asynccontextmanager
    async def open(self, crawl: Crawl) -> AsyncIterator[Source]:
        """Yield the source of `crawl`. Raises IngestFailed."""
        if crawl.type == "github":
            async with self.github.repository(RepositoryAddress.of(crawl.location)) as repository:
                yield repository
        else:
            yield self._opened(crawl)

    def _opened(self, crawl: Crawl) -> Source:
        if crawl.type == "url":
            return OnePage(url=crawl.location, pages=self.pages)
        if crawl.type == "sitemap":
            robots = Robots(self.egress)
            return Sitemap(url=crawl.location, egress=self.egress, pages=self.pages, robots=robots)
        if not is_below(crawl.location, self.folders):  # it may have been allowed when the source was made
            raise SourceDenied("The operator does not allow this folder any more. Nothing was deleted.")
        if (missing := missing_part(crawl.location)) is not None:
            raise UnsupportedFormat(missing)
        folder = Folder(crawl.location, self.folders)
        return FolderSource(folder=folder, location=crawl.location, max_file_bytes=self.max_file_bytes)


@asynccontextmanager
async def open_crawler(settings: "Settings", clock: Clock) -> AsyncIterator[Crawler]:
    """Open the stores that a crawl needs, and close them at the end of the block."""
    database = Database(settings.sql_url)
    egress = Egress(allow=Allowance.of(settings.egress_allow))
    outbox = Outbox(clock)
    letterbox = Letterbox(
        database,
        clock,
        lease=timedelta(seconds=settings.job_lease_seconds),
        sweep_after=timedelta(seconds=settings.sweep_after_seconds),
    )
    sources = Sources(
        egress=egress,
        github=GitHub(egress=egress, base_url=settings.github_url, max_file_bytes=settings.max_upload_bytes),
        pages=WebPages(egress, max_bytes=settings.max_upload_bytes),
        folders=settings.source_folders,
        max_file_bytes=settings.max_upload_bytes,
    )
    try:
        yield Crawler(
            crawls=Crawls(database=database, outbox=outbox, clock=clock, new_id=new_id),
            members=Members(database=database, letterbox=letterbox, outbox=outbox, clock=clock, new_id=new_id),
            blobs=BlobStore(settings.blob_path.as_uri()),
            open_source=sources.open,
        )
    finally:
        await egress.close()
        await database.dispose()
