"""Questions, and the chunks that answer them."""

import time
from dataclasses import dataclass
from typing import Any

from core.errors import ServiceUnavailable
from core.ids import TenantId
from pipelines.document import Hit
from pipelines.retrieval.filters import compile_filters
from pipelines.retrieval.query import QueryRequest as Question
from pipelines.retrieval.query import SearchMode, search
from server.auth.principal import Principal
from server.rag.queries.schemas import (
    ExplainedResult,
    QueryAnswer,
    QueryRequest,
    QueryResult,
    Scores,
)
from server.rag.query_index import QueryIndex, QueryIndexes

# Another process commits while a question is answered: seldom once, hardly ever thrice in a row.
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """One a process."""

    indexes: QueryIndexes

    async def answer(self, owner: Principal, request: QueryRequest) -> QueryAnswer:
        """Return the best chunks of the caller's own documents, as SQL says they may be seen at this moment."""
        began = time.perf_counter()
        question = Question(
            query=request.query,
            limit=request.limit,
            mode=SearchMode(request.mode),
            filters=request.filters,
            collection=request.collection,
        )
        if request.as_of is None:
            hits, version = await self._search(owner.tenant_id, question)
        else:
            index = await self.indexes.as_of(owner.tenant_id, request.as_of)
            hits, version = await _hits(index, question), await index.version()
        results = [_explained(hit) if request.explain else _result(hit) for hit in hits]
        return QueryAnswer(
            results=results,
            total=len(results),
            query_time=round(time.perf_counter() - began, 4),
            index_version=version,
        )

    async def _search(self, tenant_id: TenantId, question: Question) -> tuple[list[Hit], str]:
        """Return the hits and the one version of the index that all of them come from."""
        for _ in range(_TRIES):
            index = await self.indexes.active(tenant_id)
            version = await index.version()
            hits = await _hits(index, question)
            if await index.version() == version:
                return hits, version
        return await self._search_pinned(tenant_id, question)

    async def _search_pinned(self, tenant_id: TenantId, question: Question) -> tuple[list[Hit], str]:
        # So many commits that no answer was of one version: read one version, whatever comes after it.
        index = await self.indexes.active(tenant_id)
        if index.generation is not None and index.table is not None:
            pinned = await self.indexes.at(index.generation, await index.table.version())
            if pinned is not None:
                return await _hits(pinned, question), await pinned.version()
        raise ServiceUnavailable("The index is being changed all the time; try again in a moment.")


async def _hits(index: QueryIndex, question: Question) -> list[Hit]:
    if index.table is None:  # nothing was ever indexed for this tenant; wrong filters are wrong all the same
        compile_filters(question.filters)
        return []
    return await search(index.table, index.embedder, question, index.visible)


def _result(hit: Hit) -> QueryResult:
    return QueryResult(content=hit.text, score=hit.score, metadata=_metadata(hit))


def _explained(hit: Hit) -> ExplainedResult:
    scores = Scores(vector=hit.vector_score, keyword=hit.keyword_score)
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
