"""The room's operations."""

from typing import TYPE_CHECKING

from sanic import Request
from sanic.response import HTTPResponse

from core.errors import Conflict, PreconditionFailed, ResourceNotFound
from server.auth.principal import RagReader, RagWriter
from server.openapi.answers import answered
from server.openapi.preconditions import IF_MATCH, etag_of, expected_tags
from server.openapi.registry import Operations
from server.rag.sources.schemas import (
    CrawlList,
    CrawlsQuery,
    CrawlView,
    SourceBody,
    SourceChange,
    SourceDeleted,
    SourceList,
    SourceMade,
    SourceRemoval,
    SourceView,
)

if TYPE_CHECKING:
    from server.rag.sources.service import SourceService

sources = Operations("rag", "/api/v1/rag")


def _sources(request: Request) -> "SourceService":
    service: SourceService = request.app.ctx.parts.sources
    return service


def _tagged(view: SourceView) -> HTTPResponse:
    return answered(view, headers={"etag": etag_of(view.version)})


@sources.operation("POST", "/sources", answers={201: SourceMade}, errors=[Conflict])
async def create_source(request: Request, owner: RagWriter, body: SourceBody) -> HTTPResponse:
    """Keep documents in step with a page, a site's sitemap, a repository or a folder.

    With a cadence it is crawled at once and then as often as that says: what is new or different is indexed, what has
    vanished is deleted. The answer of a github source holds the secret of its webhook: it is not shown again.
    """
    made = await _sources(request).create(owner, body)
    return answered(made, status=201, headers={"etag": etag_of(made.version), "cache-control": "no-store"})


@sources.operation("GET", "/sources", answers={200: SourceList})
async def list_sources(request: Request, owner: RagReader) -> HTTPResponse:
    """List the sources by name."""
    return answered(await _sources(request).all(owner))


@sources.operation("GET", "/sources/{source_id}", answers={200: SourceView}, errors=[ResourceNotFound])
async def get_source(request: Request, owner: RagReader, source_id: str) -> HTTPResponse:
    """Show a source."""
    return _tagged(await _sources(request).one(owner, source_id))


@sources.operation(
    "PATCH",
    "/sources/{source_id}",
    answers={200: SourceView},
    errors=[ResourceNotFound, PreconditionFailed, Conflict],
    headers=[IF_MATCH],
)
async def change_source(request: Request, owner: RagWriter, source_id: str, body: SourceChange) -> HTTPResponse:
    """Change how often a source is crawled and how much a crawl may delete, pause it, or go on.

    `webhook_secret` takes the place of the one that there is. Other metadata, or another way of chunking, reach its
    documents with the next crawl, as new revisions.
    """
    return _tagged(await _sources(request).change(owner, source_id, body, expected_tags(request)))


@sources.operation("DELETE", "/sources/{source_id}", answers={200: SourceDeleted}, errors=[ResourceNotFound])
async def delete_source(request: Request, owner: RagWriter, source_id: str, query: SourceRemoval) -> HTTPResponse:
    """Delete a source. Its documents stay, unless `documents=delete`."""
    return answered(await _sources(request).delete(owner, source_id, query))


@sources.operation("POST", "/sources/{source_id}/crawl", answers={202: CrawlView}, errors=[ResourceNotFound])
async def crawl_source(request: Request, owner: RagWriter, source_id: str) -> HTTPResponse:
    """Crawl a source now, paused or not. If a crawl is under way already, it is that one."""
    return answered(await _sources(request).crawl(owner, source_id), status=202)


@sources.operation("GET", "/sources/{source_id}/crawls", answers={200: CrawlList}, errors=[ResourceNotFound])
async def list_crawls(request: Request, owner: RagReader, source_id: str, query: CrawlsQuery) -> HTTPResponse:
    """List the crawls of a source, the newest first: what each found and did, and why it stopped."""
    return answered(await _sources(request).crawls(owner, source_id, query))
