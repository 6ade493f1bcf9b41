"""The chunks of one document, as the index holds them."""

from dataclasses import dataclass
from typing import Any

from core.ids import DocumentId
from server.auth.principal import Principal
from server.rag.documents.schemas import ChunksQuery
from server.rag.documents.views import ChunkPage, ChunkView, DocumentView
from server.rag.query_index import QueryIndexes
from stores.lance.predicates import OneOf


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunks:
    """One a process."""

    indexes: QueryIndexes

    async def page(self, owner: Principal, document: DocumentView, query: ChunksQuery) -> ChunkPage:
        """Return chunks of `document`, which the caller has been shown to own."""
        total, items = 0, list[ChunkView]()
        table = None
        if document.indexed_revision is not None:
            table = (await self.indexes.active(owner.tenant_id, embedding=False)).table
        if table is not None:
            document_id = DocumentId(document.document_id)
            # Counted and not taken from the document: another generation may have cut it in another way.
            total = await table.count(OneOf("document_id", (document_id,)))
            found = await table.document_chunks(document_id, skip=query.skip, limit=query.limit)
            items = [_chunk(row) for row in found.to_pylist()]
        has_more = query.skip + len(items) < total
        return ChunkPage(items=items, total=total, skip=query.skip, limit=query.limit, has_more=has_more)


def _chunk(row: dict[str, Any]) -> ChunkView:
    return ChunkView(
        chunk_id=row["chunk_id"],
        position=row["position"],
        content=row["text"],
        tokens=row["tokens"],
        page=row["page"],
        section=row["section"],
        start=row["start"],
        end=row["end"],
    )
