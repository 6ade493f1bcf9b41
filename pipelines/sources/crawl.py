"""Bring the documents of one source in step with it. Done again, by anybody, it changes nothing twice."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from core.errors import IngestFailed, LeaseLost, SourceBraked, SourceUnavailable
from core.log import get_logger
from pipelines.sources.base import Item, Source
from stores.blobs import BlobStore
from stores.members import Member, Members
from stores.sources import Crawl, Crawls
from stores.sql.models import CrawlState, Lane

log = get_logger()
# Fetched, then written in one transaction: what a crawl that dies fetches again at most.
_AT_ONCE = 20
_MOST_ATTEMPTS = 5
# What a name may be in an index of PostgreSQL's, less the source's id before it.
_NAME_BYTES = 900
_SOURCE_TYPES = {"url": "url", "sitemap": "url", "github": "github", "folder": "file"}

OpenSource = Callable[[Crawl], AbstractAsyncContextManager[Source]]


@dataclass(slots=True)
class Counts:
    """What a crawl has done so far."""

    listed: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0

    def said(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlResult:
    crawl: Crawl
    state: CrawlState
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawler:
    """One a process and event loop."""

    crawls: Crawls
    members: Members
    blobs: BlobStore
    open_source: OpenSource

    async def crawl(self, crawl: Crawl) -> CrawlResult:
        """Crawl, close the crawl and return what came of it. Raises LeaseLost when another has taken it."""
        counts = Counts()
        try:
            async with self.open_source(crawl) as source:
                gone, had = await self._take(crawl, source, counts)
            _brake(crawl, len(gone), had)
            await self.crawls.renew(crawl, counts.said())  # whoever has lost the crawl deletes nothing
            counts.deleted = await self.members.retire(crawl.tenant_id, crawl.collection, gone)
            await self.crawls.close(crawl, CrawlState.SUCCEEDED, counts.said())
            return CrawlResult(crawl=crawl, state=CrawlState.SUCCEEDED, counts=counts.said())
        except SourceBraked as braked:
            return await self._ended(crawl, CrawlState.BRAKED, counts, braked)
        except IngestFailed as error:  # a listing that is not whole says nothing about what has vanished
            return await self._ended(crawl, CrawlState.FAILED, counts, error)
        except LeaseLost:
            raise
        except Exception:  # it is tried again when its lease has run out, though not for ever
            if crawl.attempt < _MOST_ATTEMPTS:
                raise
            log.exception("crawl.failed", crawl=crawl.id)
            gave_up = SourceUnavailable("The source could not be crawled, several times. Nothing was deleted.")
            return await self._ended(crawl, CrawlState.FAILED, counts, gave_up)

    async def _ended(self, crawl: Crawl, state: CrawlState, counts: Counts, why: IngestFailed) -> CrawlResult:
        await self.crawls.close(crawl, state, counts.said(), why)
        return CrawlResult(crawl=crawl, state=state, counts=counts.said())

    async def _take(self, crawl: Crawl, source: Source, counts: Counts) -> tuple[Sequence[str], int]:
        """Take what is new or different; return the documents that have vanished, and how many there were."""
        known = await self.members.known(
            crawl.tenant_id, crawl.collection, _SOURCE_TYPES[crawl.type], f"{crawl.source_id}:"
        )
        wanted = await self._listed(crawl, source, counts)
        different = [item for name, item in wanted.items() if _differs(crawl, item, known.get(name))]
        counts.unchanged = len(wanted) - len(different)
        for first in range(0, len(different), _AT_ONCE):
            await self._put(crawl, source, different[first : first + _AT_ONCE], known, counts)
            await self.crawls.renew(crawl, counts.said())
        return [name for name in known if name not in wanted], len(known)

    async def _listed(self, crawl: Crawl, source: Source, counts: Counts) -> dict[str, Item]:
        items: dict[str, Item] = {}
        cursor: str | None = None
        while True:
            listing = await source.list(cursor)
            named = {_name(crawl, item): item for item in listing.items}
            items |= {name: item for name, item in named.items() if len(item.external_id.encode()) <= _NAME_BYTES}
            counts.listed = len(items)
            await self.crawls.renew(crawl, counts.said())
            cursor = listing.cursor
            if cursor is None:
                return items

    async def _put(
        self, crawl: Crawl, source: Source, items: Sequence[Item], known: Mapping[str, str], counts: Counts
    ) -> None:
        members = []
        for item in items:
            try:
                members.append(await self._member(crawl, source, item))
            except IngestFailed as failure:  # the document stays as it is: it is listed, so it has not vanished
                log.warning("crawl.item_failed", crawl=crawl.id, code=failure.code)
                counts.failed += 1
        fresh = [member for member in members if known.get(member.external_id) != member.fingerprint]
        await self.members.put(crawl.tenant_id, crawl.collection, _SOURCE_TYPES[crawl.type], fresh, Lane.BATCH)
        counts.unchanged += len(members) - len(fresh)
        counts.new += sum(member.external_id not in known for member in fresh)
        counts.changed += sum(member.external_id in known for member in fresh)

    async def _member(self, crawl: Crawl, source: Source, item: Item) -> Member:
        file = await source.fetch(item)
        if not file.content:
            raise SourceUnavailable("The document is empty.")
        said = item.fingerprint or hashlib.sha256(file.content).hexdigest()
        return Member(
            external_id=_name(crawl, item),
            source=item.uri if _SOURCE_TYPES[crawl.type] == "url" else item.external_id,
            fingerprint=_fingerprint(crawl, said),
            blob_key=await self.blobs.put(crawl.tenant_id, file.content),
            size_bytes=len(file.content),
            metadata={**crawl.metadata, "source_name": crawl.name, "uri": item.uri},
            chunking=crawl.chunking,
        )


def _brake(crawl: Crawl, gone: int, had: int) -> None:
    if gone and gone > crawl.max_delete_fraction * had:
        raise SourceBraked(
            f"{gone} of {had} documents are not in the source any more; at most {crawl.max_delete_fraction:.0%} are "
            "deleted at once. Nothing was deleted. If that is right, raise max_delete_fraction and crawl again."
        )


def _name(crawl: Crawl, item: Item) -> str:
    return f"{crawl.source_id}:{item.external_id}"


def _differs(crawl: Crawl, item: Item, known: str | None) -> bool:
    return known is None or not item.fingerprint or known != _fingerprint(crawl, item.fingerprint)


def _fingerprint(crawl: Crawl, said: str) -> str:
    """Return what changes when the file does, or what its documents were to be like."""
    described: Any = [dict(crawl.metadata), dict(crawl.chunking), crawl.name]
    return f"{said}:{hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]}"
