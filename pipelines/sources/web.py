"""One page, or any other file that has a URL: fetched through the one way out, and only if it has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from core.errors import (
    AddressBlocked,
    DocumentTooLarge,
    EmptyDocument,
    IngestFailed,
    SourceDenied,
    SourceNotFound,
    SourceTimedOut,
    SourceUnavailable,
)
from pipelines.document import SourceFile
from pipelines.sources.base import Brought
from stores.egress import Egress, EgressFailed, Limits, Received, Refused, Reply, TimedOut, TooMuch

_ACCEPTED = "text/html,application/xhtml+xml,application/pdf;q=0.9,text/*;q=0.9,*/*;q=0.8"
# What an origin says about a page, and how it is asked about it the next time (RFC 9110, section 13.1).
_VALIDATORS = {"etag": "if-none-match", "last-modified": "if-modified-since"}
_KEPT = (*_VALIDATORS, "content-type")
_NOT_MODIFIED, _TOO_MANY_REQUESTS, _REQUEST_TIMEOUT = 304, 429, 408
_GONE = (404, 410)
_DENIED = (401, 402, 403, 407, 451)
_LONGEST_VALIDATOR = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """The bytes and what their origin says about them. `content` is None when they are those it was asked about."""

    content: bytes | None
    origin: Mapping[str, str]


class WebPages:
    """Fetches for documents of source type url."""

    def __init__(self, egress: Egress, *, max_bytes: int, seconds: float = 60.0) -> None:
        self._egress = egress
        self._limits = Limits(seconds=seconds, max_bytes=max_bytes)

    async def fetch(self, url: str, known: Mapping[str, str] | None = None) -> FetchedPage:
        """Return what is at `url`. `known` is the origin of bytes that are here already. Raises IngestFailed."""
        asked = {header: known[name] for name, header in _VALIDATORS.items() if known and name in known}
        try:
            got = await self._egress.fetch(url, headers={"accept": _ACCEPTED, **asked}, limits=self._limits)
        except EgressFailed as failure:
            raise failed(failure) from failure
        if got.status == _NOT_MODIFIED and known is not None and asked:
            return FetchedPage(content=None, origin={**known, **_origin(got)})
        refuse(got)
        if not got.content:
            raise EmptyDocument("The page is empty. Check the URL in a browser that has not visited it before.")
        return FetchedPage(content=got.content, origin=_origin(got))


def brought(url: str, page: FetchedPage) -> Brought | None:
    """Return a page as an item of a source; None when it is what was known already."""
    if page.content is None:
        return None
    file = SourceFile(name=file_name(url), content=page.content, is_web_page=True)
    return Brought(file=file, origin=page.origin)


def _origin(got: Received) -> dict[str, str]:
    said = {name: got.headers[name] for name in _KEPT if 0 < len(got.headers.get(name, "")) <= _LONGEST_VALIDATOR}
    return {"url": got.url, **said}


def refuse(got: Reply) -> None:
    """Raise the IngestFailed that an answer other than success deserves."""
    status = got.status
    if 200 <= status < 300:
        return
    if status in _GONE:
        raise SourceNotFound(f"The site says there is nothing at this address ({status}). Check the URL.")
    if status in _DENIED:
        raise SourceDenied(f"The site does not give this out without a login ({status}). Post it as a file.")
    if status in (_TOO_MANY_REQUESTS, _REQUEST_TIMEOUT) or status >= 500:
        raise SourceUnavailable(f"The site cannot answer at the moment ({status}). It is tried again.")
    raise SourceDenied(f"The site refuses to give this out ({status}). Check the URL.")


def failed(failure: EgressFailed) -> IngestFailed:
    """Return `failure` as what it means for a document."""
    if isinstance(failure, Refused):
        return AddressBlocked(failure.message)
    if isinstance(failure, TimedOut):
        return SourceTimedOut(failure.message)
    if isinstance(failure, TooMuch):
        return DocumentTooLarge(failure.message)
    return SourceUnavailable(failure.message)


def file_name(url: str) -> str:
    """Return the last part of a URL's path: what tells kinds of text apart where their content does not."""
    try:
        return PurePosixPath(unquote(urlsplit(url).path)).name or "page"
    except ValueError:
        return "page"
