"""Questions, and the chunks that answer them."""

import time
from dataclasses import dataclass
from typing import Any

from core.ids import DocumentId, TenantId
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
from server.rag.query_embedder import QueryEmbedder
from stores.documents import Documents
from stores.lance import ChunkTable, LanceStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """One a process."""

    lance: LanceStore
    embedder: QueryEmbedder
    documents: Documents

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

        async def visible(document_ids: Any) -> dict[DocumentId, int]:
            return await self.documents.visible(owner.tenant_id, document_ids)

        table = await self._table(owner.tenant_id)
        if table is None:  # nothing was ever indexed for this tenant; wrong filters are wrong all the same
            compile_filters(request.filters)
            hits: list[Hit] = []
        else:
            hits = await search(table, await self.embedder.ready(), question, visible)
        results = [_explained(hit) if request.explain else _result(hit) for hit in hits]
        return QueryAnswer(results=results, total=len(results), query_time=round(time.perf_counter() - began, 4))

    async def _table(self, tenant_id: TenantId) -> ChunkTable | None:
        embedder = await self.embedder.ready()
        return await self.lance.find_table(tenant_id, embedder.space, embedder.dimensions)


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
