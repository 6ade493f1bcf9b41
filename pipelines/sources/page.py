"""A single page as a source, for whoever wants it fetched again and again."""

from dataclasses import dataclass

from pipelines.document import SourceFile
from pipelines.sources.base import Item, Listing
from pipelines.sources.web import WebPages, file_name


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePage:
    """Implements Source. Whether the page has changed its site says when it is asked, by ETag or date."""

    url: str
    pages: WebPages

    async def list(self, cursor: str | None) -> Listing:
        return Listing(items=[Item(external_id=self.url, uri=self.url, fingerprint="")])

    async def fetch(self, item: Item) -> SourceFile:
        page = await self.pages.fetch(item.uri)
        return SourceFile(name=file_name(item.uri), content=page.content or b"", is_web_page=True)
