"""Bring the documents of one source in step with it. Done again, by anybody, it changes nothing twice."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from core.errors import IngestFailed, LeaseLost, SourceBraked, SourceUnavailable
from core.log import get_logger
from pipelines.sources.base import Item, Source
from pipelines.sources.tally import Tally
from stores.blobs import BlobStore
from stores.crawl_keeper import keep
from stores.members import Known, Member, Members
from stores.sources import Crawl, Crawls
from stores.sql.models import CrawlState, Lane

log = get_logger()
# Fetched, then written in one transaction: what a crawl that dies fetches again at most. No more than `put` writes so.
_AT_ONCE = 20
_MOST_ATTEMPTS = 5
# A crawl that kills its workers does so at the same place again; one of very many documents may outlive some restarts.
_MOST_WORKERS = 20
# What a name may be in an index of PostgreSQL's, less the source's id before it.
_NAME_BYTES = 900
_SOURCE_TYPES = {"url": "url", "sitemap": "url", "github": "github", "folder": "file"}

OpenSource = Callable[[Crawl], AbstractAsyncContextManager[Source]]


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
        tally = Tally.of(crawl.progress)
        if crawl.attempt > _MOST_WORKERS:
            gave_up = SourceUnavailable(f"None of {_MOST_WORKERS} workers came to the end of this crawl.")
            return await self._ended(crawl, CrawlState.FAILED, tally, gave_up)
        try:
            async with keep(self.crawls, crawl):
                await self._done(crawl, tally)
            return await self._ended(crawl, CrawlState.SUCCEEDED, tally)
        except SourceBraked as braked:
            return await self._ended(crawl, CrawlState.BRAKED, tally, braked)
        except IngestFailed as error:  # a listing that is not whole says nothing about what has vanished
            return await self._ended(crawl, CrawlState.FAILED, tally, error)
        except LeaseLost:
            raise
        except Exception:  # it is tried again when its lease has run out, though not for ever
            if crawl.attempt < _MOST_ATTEMPTS:
                raise
            log.exception("crawl.failed", crawl=crawl.id)
            gave_up = SourceUnavailable("Something went wrong on our side, several times; the next crawl tries again.")
            return await self._ended(crawl, CrawlState.FAILED, tally, gave_up)

    async def _ended(
        self, crawl: Crawl, state: CrawlState, tally: Tally, why: IngestFailed | None = None
    ) -> CrawlResult:
        await self.crawls.close(crawl, state, tally.progress(), why)
        return CrawlResult(crawl=crawl, state=state, counts=tally.counts())

    async def _done(self, crawl: Crawl, tally: Tally) -> None:
        known = await self.members.known(
            crawl.tenant_id, crawl.collection, _SOURCE_TYPES[crawl.type], f"{crawl.source_id}:"
        )
        # Before this crawl began, whoever began it.
        had = len(known) - tally.new + tally.deleted
        async with self.open_source(crawl) as source:
            wanted = await self._listed(crawl, source)
            tally.listed = len(wanted)
            for names in _parts(crawl, wanted, known):
                await self._take(crawl, source, {name: wanted[name] for name in names}, known, tally)
        if tally.failed and tally.failed == tally.listed:
            raise _nothing_came(tally)
        await self._retire(crawl, [name for name in known if name not in wanted], had, tally)

    async def _listed(self, crawl: Crawl, source: Source) -> dict[str, Item]:
        items: dict[str, Item] = {}
        cursor: str | None = None
        while True:
            listing = await source.list(cursor)
            named = {_name(crawl, item): item for item in listing.items}
            items |= {name: item for name, item in named.items() if len(item.external_id.encode()) <= _NAME_BYTES}
            cursor = listing.cursor
            if cursor is None:
                return items

    async def _take(
        self, crawl: Crawl, source: Source, items: Mapping[str, Item], known: Mapping[str, Known], tally: Tally
    ) -> None:
        """Take what is new or different of `items`; that, the counts and the cursor are one commit."""
        members = []
        for name, item in items.items():
            before = known.get(name)
            member = None
            if _differs(crawl, item, before):
                try:
                    member = await self._member(crawl, source, item, before)
                except IngestFailed as failure:  # the document stays as it is: it is listed, so it has not vanished
                    log.warning("crawl.item_failed", crawl=crawl.id, code=failure.code)
                    tally.fail(item, failure)
                    continue
            if member is None or (before is not None and before.fingerprint == member.fingerprint):
                tally.unchanged += 1
                continue
            tally.new += before is None
            tally.changed += before is not None
            members.append(member)
        tally.cursor = max(items)
        async with self.crawls.fenced(crawl):
            await self.members.put(crawl.tenant_id, crawl.collection, _SOURCE_TYPES[crawl.type], members, Lane.BATCH)
            await self.crawls.note(crawl, tally.progress())

    async def _retire(self, crawl: Crawl, gone: Sequence[str], had: int, tally: Tally) -> None:
        _brake(crawl, len(gone) + tally.deleted, had)
        for first in range(0, len(gone), _AT_ONCE):
            async with self.crawls.fenced(crawl):
                some = gone[first : first + _AT_ONCE]
                tally.deleted += await self.members.retire(crawl.tenant_id, crawl.collection, some)
                await self.crawls.note(crawl, tally.progress())

    async def _member(self, crawl: Crawl, source: Source, item: Item, before: Known | None) -> Member | None:
        """Return the document as it is now, or None if its origin says that it is as it was."""
        same_wishes = before is not None and before.fingerprint.endswith(f":{_wishes(crawl)}")
        got = await source.fetch(item, before.origin if before is not None and same_wishes else {})
        if got is None:
            return None
        if not got.file.content:
            raise SourceUnavailable("The document is empty.")
        said = item.fingerprint or hashlib.sha256(got.file.content).hexdigest()
        return Member(
            external_id=_name(crawl, item),
            source=item.uri if _SOURCE_TYPES[crawl.type] == "url" else item.external_id,
            fingerprint=_fingerprint(crawl, said),
            blob_key=await self.blobs.put(crawl.tenant_id, got.file.content),
            size_bytes=len(got.file.content),
            metadata={**crawl.metadata, "source_name": crawl.name, "uri": item.uri},
            chunking=crawl.chunking,
            origin=got.origin,
        )


def _parts(crawl: Crawl, wanted: Mapping[str, Item], known: Mapping[str, Known]) -> Iterator[list[str]]:
    """Yield the names behind the cursor in their order, so many at a time that few have to be fetched."""
    part: list[str] = []
    to_fetch = 0
    for name in sorted(wanted):
        if crawl.progress.cursor is not None and name <= crawl.progress.cursor:
            continue
        part.append(name)
        to_fetch += _differs(crawl, wanted[name], known.get(name))
        if to_fetch == _AT_ONCE:
            yield part
            part, to_fetch = [], 0
    if part:
        yield part


def _nothing_came(tally: Tally) -> IngestFailed:
    if tally.listed == 1 and tally.last_failure is not None:
        return tally.last_failure
    said = tally.failures[0]["message"]
    return SourceUnavailable(f"None of the {tally.listed} documents could be fetched. The first one: {said}")


def _brake(crawl: Crawl, gone: int, had: int) -> None:
    if gone and gone > crawl.max_delete_fraction * had:
        raise SourceBraked(
            f"{gone} of {had} documents are not in the source any more; at most {crawl.max_delete_fraction:.0%} are "
            "deleted at once. Nothing was deleted. If that is right, raise max_delete_fraction and crawl again."
        )


def _name(crawl: Crawl, item: Item) -> str:
    return f"{crawl.source_id}:{item.external_id}"


def _differs(crawl: Crawl, item: Item, known: Known | None) -> bool:
    """Return whether an item has to be fetched to know what it is."""
    return known is None or not item.fingerprint or known.fingerprint != _fingerprint(crawl, item.fingerprint)


def _fingerprint(crawl: Crawl, said: str) -> str:
    """Return what changes when the file does, or what its documents were to be like."""
    return f"{said}:{_wishes(crawl)}"


def _wishes(crawl: Crawl) -> str:
    described: Any = [dict(crawl.metadata), dict(crawl.chunking), crawl.name]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]
