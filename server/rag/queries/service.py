"""Questions, and the chunks that answer them."""

import time
from dataclasses import dataclass
from typing import Any

from core import tracing
from core.errors import ServiceUnavailable
from core.ids import TenantId
from pipelines.document import Hit
from pipelines.embedding.base import Embedder
from pipelines.retrieval.filters import compile_filters
from pipelines.retrieval.fuse import Fusion
from pipelines.retrieval.query import QueryRequest as Question
from pipelines.retrieval.query import Retrieved, SearchMode, nothing, retrieve
from pipelines.retrieval.rerank import Rerankings
from server.auth.principal import Principal
from server.rag.queries.schemas import (
    ExplainedResult,
    Explanation,
    QueryAnswer,
    QueryRequest,
    QueryResult,
    Scores,
)
from server.rag.query_index import QueryIndex, QueryIndexes

# Another process commits while a question is answered: seldom once, hardly ever thrice in a row.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question found, in one version of one index."""

    index: QueryIndex
    version: str
    retrieved: Retrieved

    @property
    def hits(self) -> list[Hit]:
        return self.retrieved.hits

    @property
    def embedder(self) -> Embedder:
        return self.index.embedder

    @property
    def results(self) -> list[QueryResult]:
        return [_result(hit) for hit in self.hits]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """One a process."""

    indexes: QueryIndexes
    rerankings: Rerankings

    async def answer(self, owner: Principal, request: QueryRequest) -> QueryAnswer:
        """Return the best chunks of the caller's own documents, as SQL says they may be seen at this moment."""
        began = time.perf_counter()
        found = await self.found(owner, request, embedding=request.mode != "keyword" or request.rerank)
        fallback = found.retrieved.fallback
        return QueryAnswer(
            results=[_explained(hit) for hit in found.hits] if request.explain else found.results,
            total=len(found.hits),
            query_time=round(time.perf_counter() - began, 4),
            index_version=found.version,
            reranked=found.retrieved.reranked,
            rerank_fallback=None if fallback is None else fallback.value,
            explanation=self._explanation(request, found) if request.explain else None,
        )

    async def found(self, owner: Principal, request: QueryRequest, *, embedding: bool = True) -> Found:
        """Return what answers a request, of the index as it is or as it was at `as_of`.

        Without `embedding` what is found has no embedder that could be asked anything.
        """
        if request.as_of is None:
            return await self._search(owner.tenant_id, _question(request), embedding)
        index = await self.indexes.as_of(owner.tenant_id, request.as_of, embedding=embedding)
        return await self._at(index, _question(request))

    async def _search(self, tenant_id: TenantId, question: Question, embedding: bool) -> Found:
        """Return what one version of the index knows, the one that all hits come from."""
        for _ in range(_TRIES):
            found = await self._at(await self.indexes.active(tenant_id, embedding=embedding), question)
            if await found.index.version() == found.version:
                return found
        return await self._search_pinned(tenant_id, question, embedding)

    async def _search_pinned(self, tenant_id: TenantId, question: Question, embedding: bool) -> Found:
        # So many commits that no answer was of one version: read one version, whatever comes after it.
        index = await self.indexes.active(tenant_id, embedding=embedding)
        if index.generation is not None and index.table is not None:
            pinned = await self.indexes.at(index.generation, await index.table.version(), embedding=embedding)
            if pinned is not None:
                return await self._at(pinned, question)
        raise ServiceUnavailable("The index is being changed all the time; try again in a moment.")

    async def _at(self, index: QueryIndex, question: Question) -> Found:
        version = await index.version()
        if index.table is None:  # nothing was ever indexed for this tenant; wrong filters are wrong all the same
            compile_filters(question.filters)
            return Found(index=index, version=version, retrieved=nothing(question))
        reranking = self.rerankings.of(index.embedder) if question.rerank else None
        with tracing.span("query.retrieve") as tell:
            retrieved = await retrieve(index.table, index.embedder, question, index.visible, reranking)
            tell(codexos__hits=len(retrieved.hits))
        return Found(index=index, version=version, retrieved=retrieved)

    def _explanation(self, request: QueryRequest, found: Found) -> Explanation:
        reranking = self.rerankings.of(found.embedder) if found.retrieved.reranked else None
        fusion = request.fusion if request.mode == "hybrid" else None
        return Explanation(
            mode=request.mode,
            fusion=fusion,
            alpha=found.retrieved.alpha,
            embedder=found.embedder.space,
            reranker=None if reranking is None else reranking.reranker.name,
        )


def _question(request: QueryRequest) -> Question:
    return Question(
        query=request.query,
        limit=request.limit,
        mode=SearchMode(request.mode),
        filters=request.filters,
        collection=request.collection,
        fusion=Fusion(request.fusion),
        alpha=request.alpha,
        max_per_document=request.max_per_document,
        diversity=request.diversity,
        rerank=request.rerank,
    )


def _result(hit: Hit) -> QueryResult:
    return QueryResult(content=hit.text, score=hit.score, metadata=_metadata(hit))


def _explained(hit: Hit) -> ExplainedResult:
    scores = Scores(vector=hit.vector_score, keyword=hit.keyword_score, rerank=hit.rerank_score)
    return ExplainedResult(content=hit.text, score=hit.score, metadata=_metadata(hit), scores=scores)


def _metadata(hit: Hit) -> dict[str, Any]:
    # Ours last: nobody's metadata can make a chunk look as if it came from another document.
    return {
        **hit.metadata,
        "source": hit.source,
        "source_type": hit.source_type,
        "chunk_id": hit.chunk_id,
        "document_id": hit.document_id,
        "revision": hit.revision,
        "page": hit.page,
        "section": hit.section,
    }
