"""A single page as a source, for whoever wants it fetched again and again."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.sources.base import Brought, Item, Listing
from pipelines.sources.web import WebPages, brought


@dataclass(frozen=True, slots=True, kw_only=True)
class OnePage:
    """Implements Source. Whether the page has changed its site says when it is asked, by ETag or date."""

    url: str
    pages: WebPages

    async def list(self, cursor: str | None) -> Listing:
        return Listing(items=[Item(external_id=self.url, uri=self.url, fingerprint="")])

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought | None:
        return brought(item.uri, await self.pages.fetch(item.uri, known))
