"""The pages a sitemap lists as a source: read within bounds, one site only, as its robots.txt permits."""

import asyncio
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError, ParserCreate

from core.errors import DocumentTooLarge, DocumentUnreadable, SourceDenied, UnsupportedFormat
from pipelines.sources.base import Brought, Item, Listing
from pipelines.sources.robots import Robots
from pipelines.sources.web import WebPages, brought, failed, refuse
from stores.egress import Egress, EgressFailed, Limits

# sitemaps.org: a sitemap has at most 50,000 URLs and 50 MiB unpacked, an index at most 50,000 sitemaps.
_LIMITS = Limits(seconds=60, max_bytes=50 * 1024 * 1024)
_GZIP = b"\x1f\x8b"
_LONGEST_URL = 1_000
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap:
    """Implements Source. A page's fingerprint is its `lastmod`; without one it is asked each time, by its ETag."""

    url: str
    egress: Egress
    pages: WebPages
    robots: Robots
    max_pages: int = 10_000
    max_sitemaps: int = 100

    async def list(self, cursor: str | None) -> Listing:
        """Return all pages in one part: what a sitemap has is known when it has been read to its end."""
        waiting, read, found = [self.url], set[str](), dict[str, str]()
        while waiting:
            url = waiting.pop(0)
            if url in read:
                continue
            if len(read) >= self.max_sitemaps:
                raise DocumentTooLarge(f"The site has more than {self.max_sitemaps} sitemaps. Name one of them.")
            read.add(url)
            inner, pages = await asyncio.to_thread(_read, await self._content(url))
            waiting += [place for place in inner if self._is_ours(place)]
            for place, modified in pages:
                if self._is_ours(place) and await self.robots.permit(place):
                    found[place] = modified
            if len(found) > self.max_pages:
                raise DocumentTooLarge(f"The sitemap lists more than {self.max_pages} pages. Name one of its parts.")
        return Listing(items=[Item(external_id=url, uri=url, fingerprint=said) for url, said in found.items()])

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought | None:
        if not await self.robots.permit(item.uri):
            raise SourceDenied("The site's robots.txt asks not to fetch this page.")
        return brought(item.uri, await self.pages.fetch(item.uri, known))

    def _is_ours(self, url: str) -> bool:
        # sitemaps.org: a sitemap speaks for its own host only. Everything else would be a way to send us anywhere.
        try:
            return len(url) <= _LONGEST_URL and urlsplit(url).netloc == urlsplit(self.url).netloc
        except ValueError:  # text that is no URL, such as "http://[": one of them must not end the crawl
            return False

    async def _content(self, url: str) -> bytes:
        if not await self.robots.permit(url):
            raise SourceDenied("The site's robots.txt asks not to fetch its sitemap.")
        try:
            got = await self.egress.fetch(url, limits=_LIMITS)
        except EgressFailed as failure:
            raise failed(failure) from failure
        refuse(got)
        return got.content


def _read(content: bytes) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the sitemaps and the pages, with what changes when they do, that a sitemap lists."""
    inner: list[str] = []
    pages: list[tuple[str, str]] = []
    for kind, place, modified in _entries(content):
        if kind == "sitemap":
            inner.append(place)
        else:
            pages.append((place, hashlib.sha256(modified.encode()).hexdigest() if modified else ""))
    return inner, pages


def _entries(content: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield kind, place and modification of each entry, as soon as it has been read."""
    reader = _Reader()
    try:
        for piece in _pieces(content):
            reader.parser.Parse(piece, False)
            yield from reader.taken()
        reader.parser.Parse(b"", True)
    except ExpatError as error:
        raise DocumentUnreadable("The sitemap is not XML, or ends in the middle. Check its address.") from error


class _Reader:
    """Expat's callbacks. Nothing of the document is kept but the entry that is being read."""

    def __init__(self) -> None:
        self.parser = ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._refused
        self.parser.StartElementHandler = self._begin
        self.parser.CharacterDataHandler = self._say
        self.parser.EndElementHandler = self._end
        self._entries: list[tuple[str, str, str]] = []
        self._said: dict[str, str] = {}
        self._text = ""

    def taken(self) -> list[tuple[str, str, str]]:
        entries, self._entries = self._entries, []
        return entries

    def _refused(self, *_: object) -> None:
        # No entity but XML's own five is ever needed here; a declaration of others is a bomb or a spy.
        raise UnsupportedFormat("The sitemap declares a document type, which is not read.")

    def _begin(self, name: str, _: object) -> None:
        self._text = ""

    def _say(self, text: str) -> None:
        if len(self._text) <= _LONGEST_URL:
            self._text += text

    def _end(self, name: str) -> None:
        _, _, name = name.rpartition(" ")
        if name in ("loc", "lastmod"):
            self._said.setdefault(name, self._text.strip())
        elif name in ("url", "sitemap"):
            if place := self._said.get("loc"):
                self._entries.append((name, place, self._said.get("lastmod", "")))
            self._said = {}


def _pieces(content: bytes) -> Iterator[bytes]:
    """Yield the XML, unpacked if it is packed, no more than a sitemap may have."""
    total = 0
    try:
        with gzip.open(io.BytesIO(content)) if content.startswith(_GZIP) else io.BytesIO(content) as file:
            while piece := file.read(_PIECE):
                total += len(piece)
                if total > _LIMITS.max_bytes:
                    raise DocumentTooLarge("The sitemap is longer than sitemaps may be. Name one of its parts.")
                yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise DocumentUnreadable("The sitemap is packed and cannot be unpacked; it may be damaged.") from error
