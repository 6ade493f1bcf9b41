"""The story of a question: embed it while its words are searched, search its vector, fuse, check against SQL, show."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from core.errors import ServiceUnavailable
from core.ids import DocumentId
from pipelines.document import Hit
from pipelines.embedding.base import Embedder, Vectors
from pipelines.retrieval.filters import compile_filters
from pipelines.retrieval.found import Moved, keyword_candidates, show, union, vector_candidates
from pipelines.retrieval.fuse import (
    Candidate,
    Fusion,
    Ranked,
    by_convex_combination,
    by_reciprocal_rank,
    by_similarity,
    by_words,
)
from stores.lance import ChunkTable
from stores.lance.predicates import AllOf, OneOf, Predicate

Visible = Callable[[Sequence[DocumentId]], Awaitable[Mapping[DocumentId, int]]]
"""Returns the revision queries may see of each living document among those asked for."""

# Each side brings this many; beyond it neither collection measured gains recall at 100.
_DEPTH = 100
_DEEPEST = 1600
_MOST_MOVES = 3


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    query: str
    limit: int = 10
    mode: SearchMode = SearchMode.HYBRID
    filters: Mapping[str, Any] | None = None
    collection: str | None = None
    fusion: Fusion = Fusion.CONVEX


async def search(table: ChunkTable, embedder: Embedder, request: QueryRequest, visible: Visible) -> list[Hit]:
    """Return the best `request.limit` chunks that SQL says may be seen, best first; equal scores in order of chunk id.

    Raises ValidationFailed for filters that are wrong and EmbeddingFailed.
    """
    where = _where(request)
    if not request.query.strip():
        return []
    vector = asyncio.create_task(_embedded(embedder, request))
    try:
        for _ in range(_MOST_MOVES):
            try:
                return await _search(table, vector, request, where, visible)
            except Moved:  # the table was compacted between finding and reading
                continue
    finally:
        vector.cancel()
    raise ServiceUnavailable("The index is being rebuilt; try again in a moment.")


def _where(request: QueryRequest) -> Predicate | None:
    asked = compile_filters(request.filters)
    if request.collection is None:
        return asked
    collection = OneOf("collection", (request.collection,))
    return collection if asked is None else AllOf((collection, asked))


async def _embedded(embedder: Embedder, request: QueryRequest) -> Vectors | None:
    if request.mode is SearchMode.KEYWORD:
        return None
    vectors = await asyncio.to_thread(embedder.embed, [request.query])
    return cast(Vectors, vectors[0])


async def _search(
    table: ChunkTable,
    vector: asyncio.Task[Vectors | None],
    request: QueryRequest,
    where: Predicate | None,
    visible: Visible,
) -> list[Hit]:
    depth = max(_DEPTH, request.limit)
    while True:
        ranked = await _ranked(table, vector, request, where, depth)
        hits = await _visible_hits(table, ranked, request.limit, visible)
        # Hidden chunks took places from visible ones: look deeper, unless that was all there is.
        if len(hits) == request.limit or len(ranked) < depth or depth >= _DEEPEST:
            return hits
        depth *= 4


async def _ranked(
    table: ChunkTable,
    vector: asyncio.Task[Vectors | None],
    request: QueryRequest,
    where: Predicate | None,
    depth: int,
) -> list[Ranked]:
    async def by_vector() -> list[Candidate]:
        asked = await vector
        return [] if asked is None else vector_candidates(await table.search_vector(asked, depth, where))

    if request.mode is SearchMode.VECTOR:
        return by_similarity(await by_vector())
    if request.mode is SearchMode.KEYWORD:
        return by_words(keyword_candidates(await table.search_text(request.query, depth, where), None))
    near, matching = await asyncio.gather(by_vector(), table.search_text(request.query, depth, where))
    candidates = union(near, keyword_candidates(matching, await vector))
    if request.fusion is Fusion.RECIPROCAL_RANK:
        return by_reciprocal_rank(candidates)
    return by_convex_combination(candidates)


async def _visible_hits(table: ChunkTable, ranked: Sequence[Ranked], limit: int, visible: Visible) -> list[Hit]:
    """Show the first `limit` that may be seen; asking SQL and reading the texts of a window go on together."""
    hits: list[Hit] = []
    for first in range(0, len(ranked), limit):
        window = ranked[first : first + limit]
        documents = sorted({DocumentId(entry.candidate.document_id) for entry in window})
        revisions, rows = await asyncio.gather(
            visible(documents), table.read([entry.candidate.row_id for entry in window])
        )
        for hit in show(window, rows):
            revision = revisions.get(hit.document_id)
            if revision is not None and hit.revision >= revision:
                hits.append(hit)
        if len(hits) >= limit:
            break
    return hits[:limit]
