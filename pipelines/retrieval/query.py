"""The story of a question: embed it while its words are searched, search its vector, fuse, check against SQL, show.

If that is asked for, the best are then read again by a reranker, and chosen so that they differ.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa

from core.errors import ServiceUnavailable
from core.ids import DocumentId
from pipelines.document import Hit
from pipelines.embedding.base import Embedder, Vectors
from pipelines.retrieval.filters import compile_filters
from pipelines.retrieval.found import Moved, keyword_candidates, show, union, vector_candidates
from pipelines.retrieval.fuse import (
    ALPHA,
    Candidate,
    Fusion,
    Ranked,
    by_convex_combination,
    by_reciprocal_rank,
    by_similarity,
    by_words,
    by_words_first,
)
from pipelines.retrieval.languages import EVIDENCE, alpha_for
from pipelines.retrieval.rerank import Fallback, Reranking
from pipelines.retrieval.select import Allowance, diverse_order
from stores.lance import ChunkTable
from stores.lance.predicates import AllOf, OneOf, Predicate

Visible = Callable[[Sequence[DocumentId]], Awaitable[Mapping[DocumentId, int]]]
"""Returns the revision queries may see of each living document among those asked for."""

# Each side brings this many; beyond it neither collection measured gains recall at 100.
_DEPTH = 100
_DEEPEST = 1600
_MOST_MOVES = 3
# What is to differ is chosen among so many for each that is wanted.
_CHOICE = 3
_DIGITS = 6


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
    alpha: float | None = None
    """The vector's share in a convex combination; None is the best for the language of question and passages."""
    max_per_document: int | None = None
    diversity: float = 0.0
    """0 takes the best, 1 what differs most from those before it (see select.py)."""
    rerank: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What was found. `reranked` is None if nobody asked for it; `fallback` says why it was not done.

    `alpha` is the vector's share in a convex combination, if there was one.
    """

    hits: list[Hit]
    alpha: float | None = None
    reranked: bool | None = None
    fallback: Fallback | None = None


class _Found(NamedTuple):
    row_id: int
    hit: Hit


class _Ranking(NamedTuple):
    ranked: list[Ranked]
    alpha: float | None = None


async def search(table: ChunkTable, embedder: Embedder, request: QueryRequest, visible: Visible) -> list[Hit]:
    """Return the best `request.limit` chunks that SQL says may be seen, best first; equal scores in order of chunk id.

    Raises ValidationFailed for filters that are wrong and EmbeddingFailed.
    """
    return (await retrieve(table, embedder, request, visible)).hits


async def retrieve(
    table: ChunkTable,
    embedder: Embedder,
    request: QueryRequest,
    visible: Visible,
    reranking: Reranking | None = None,
) -> Retrieved:
    """Search, and rerank if that is asked for; a reranker that fails is told of, and fails nothing.

    With `diversity` hits come in the order in which they were chosen, each with its own score. Raises as `search`.
    """
    where = _where(request)
    if not request.query.strip():
        return nothing(request)
    vector = asyncio.create_task(_embedded(embedder, request))
    try:
        for _ in range(_MOST_MOVES):
            try:
                found, alpha = await _search(
                    table, embedder, vector, request, where, visible, _wanted(request, reranking)
                )
                read = await _reranked(found, request, reranking)
                return replace(read, hits=await _chosen(table, found, read.hits, request), alpha=alpha)
            except Moved:  # the table was compacted between finding and reading
                continue
    finally:
        vector.cancel()
    raise ServiceUnavailable("The index is being rebuilt; try again in a moment.")


def nothing(request: QueryRequest) -> Retrieved:
    """Return the answer where there is nothing to find. There is nothing to read again either, so that is done."""
    return Retrieved(hits=[], reranked=True if request.rerank else None)


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


def _wanted(request: QueryRequest, reranking: Reranking | None) -> int:
    """Return how many chunks the answer is chosen from."""
    read = reranking.reranker.most_texts if request.rerank and reranking else 0
    return max(request.limit, read, _CHOICE * request.limit if request.diversity else 0)


async def _search(
    table: ChunkTable,
    embedder: Embedder,
    vector: asyncio.Task[Vectors | None],
    request: QueryRequest,
    where: Predicate | None,
    visible: Visible,
    wanted: int,
) -> tuple[list[_Found], float | None]:
    depth = max(_DEPTH, wanted)
    while True:
        ranked, alpha = await _ranked(table, embedder, vector, request, where, depth)
        found = await _visible(table, ranked, wanted, Allowance(request.max_per_document), visible)
        # What may not be shown took places from what may: look deeper, unless that was all there is.
        if len(found) == wanted or len(ranked) < depth or depth >= _DEEPEST:
            return found, alpha
        depth *= 4


async def _ranked(
    table: ChunkTable,
    embedder: Embedder,
    vector: asyncio.Task[Vectors | None],
    request: QueryRequest,
    where: Predicate | None,
    depth: int,
) -> _Ranking:
    async def by_vector() -> list[Candidate]:
        asked = await vector
        return [] if asked is None else vector_candidates(await table.search_vector(asked, depth, where))

    async def by_text() -> tuple[pa.Table, float]:
        matching = await table.search_text(request.query, depth, where)
        return matching, await _alpha(table, embedder, request, matching)

    if request.mode is SearchMode.VECTOR:
        return _Ranking(by_similarity(await by_vector()))
    if request.mode is SearchMode.KEYWORD:
        return _Ranking(by_words(keyword_candidates(await table.search_text(request.query, depth, where), None)))
    near, (matching, alpha) = await asyncio.gather(by_vector(), by_text())
    candidates = union(near, keyword_candidates(matching, await vector))
    if request.fusion is Fusion.RECIPROCAL_RANK:
        return _Ranking(by_reciprocal_rank(candidates))
    if alpha == 0.0 and request.alpha is None:
        return _Ranking(by_words_first(candidates), alpha)
    return _Ranking(by_convex_combination(candidates, alpha), alpha)


async def _alpha(table: ChunkTable, embedder: Embedder, request: QueryRequest, matching: pa.Table) -> float:
    """Return the vector's share. The texts that it takes to tell are read while the question is being embedded."""
    if request.alpha is not None:
        return request.alpha
    if request.fusion is not Fusion.CONVEX or embedder.languages is None:
        return ALPHA
    best = np.argsort(-matching["bm25"].to_numpy(), kind="stable")[:EVIDENCE]
    if not len(best) or not alpha_for(request.query, embedder):
        return alpha_for(request.query, embedder)
    rows = await table.read(matching["row_id"].to_numpy()[best].tolist())
    return alpha_for(request.query, embedder, rows["text"].to_pylist())


async def _visible(
    table: ChunkTable, ranked: Sequence[Ranked], wanted: int, allowance: Allowance, visible: Visible
) -> list[_Found]:
    """Show the first that may be seen and are allowed; asking SQL and reading the texts of a window go on together."""
    found: list[_Found] = []
    for first in range(0, len(ranked), wanted):
        window = ranked[first : first + wanted]
        documents = sorted({DocumentId(entry.candidate.document_id) for entry in window})
        revisions, rows = await asyncio.gather(
            visible(documents), table.read([entry.candidate.row_id for entry in window])
        )
        for entry, hit in zip(window, show(window, rows), strict=True):
            revision = revisions.get(hit.document_id)
            if revision is not None and hit.revision >= revision and allowance.takes(hit.document_id):
                found.append(_Found(entry.candidate.row_id, hit))
        if len(found) >= wanted:
            break
    return found[:wanted]


async def _reranked(found: Sequence[_Found], request: QueryRequest, reranking: Reranking | None) -> Retrieved:
    """Return the hits in their final order, as far as relevance goes."""
    hits = [each.hit for each in found]
    if not request.rerank:
        return Retrieved(hits=hits)
    if reranking is None:
        return Retrieved(hits=hits, reranked=False, fallback=Fallback.NOT_CONFIGURED)
    if not hits:
        return Retrieved(hits=hits, reranked=True)
    read, rest = hits[: reranking.reranker.most_texts], hits[reranking.reranker.most_texts :]
    scores = await reranking.scores(request.query, [hit.text for hit in read])
    if isinstance(scores, Fallback):
        return Retrieved(hits=hits, reranked=False, fallback=scores)
    weight = reranking.reranker.weight
    again = [
        replace(
            hit,
            score=round((1.0 - weight) * hit.score + weight * float(score), _DIGITS),
            rerank_score=round(float(score), _DIGITS),
        )
        for hit, score in zip(read, scores, strict=True)
    ]
    again.sort(key=lambda hit: (-hit.score, hit.chunk_id))
    # Those that were not read stay behind those that were.
    return Retrieved(
        hits=[*again, *(replace(hit, score=min(hit.score, again[-1].score)) for hit in rest)], reranked=True
    )


async def _chosen(table: ChunkTable, found: Sequence[_Found], hits: Sequence[Hit], request: QueryRequest) -> list[Hit]:
    if not request.diversity or len(hits) < 2:
        return list(hits[: request.limit])
    row_ids = {each.hit.chunk_id: each.row_id for each in found}
    stored = await table.vectors(list(row_ids.values()))
    if len(stored) < len(row_ids):
        raise Moved
    vectors = np.stack([stored[row_ids[hit.chunk_id]] for hit in hits])
    scores = [hit.score for hit in hits]
    return [hits[place] for place in diverse_order(scores, vectors, request.diversity, request.limit)]
