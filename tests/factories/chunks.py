"""Documents cut and embedded by hand, as a chunk table takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from core.ids import DocumentId, TenantId
from pipelines.document import ChunkingConfig, Document, Passage
from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from pipelines.index.rows import rows_of
from stores.lance import ChunkTable, CommitReport

TENANT = TenantId("01930000-0000-7000-8000-000000000001")
EMBEDDER = HashEmbedder(dimensions=64)


@dataclass(frozen=True)
class Cut:
    document: Document
    passages: Sequence[Passage]
    vectors: Vectors


def cut(
    document_id: str,
    texts: Sequence[str],
    *,
    revision: int = 1,
    tenant_id: TenantId = TENANT,
    metadata: Mapping[str, Any] | None = None,
    source: str = "a.txt",
    source_type: str = "text",
    collection: str = "default",
    pages: Sequence[int | None] | None = None,
) -> Cut:
    """Return a document with one passage per text and the vectors of the hash embedder."""
    document = Document(
        tenant_id=tenant_id,
        document_id=DocumentId(document_id),
        revision=revision,
        source=source,
        source_type=source_type,
        collection=collection,
        metadata=metadata or {},
        chunking=ChunkingConfig(),
    )
    passages = [
        Passage(position=position, text=text, start=0, end=len(text), tokens=len(text.split()), page=page)
        for position, (text, page) in enumerate(zip(texts, pages or [None] * len(texts), strict=True))
    ]
    return Cut(document=document, passages=passages, vectors=EMBEDDER.embed(texts))


def rows(*cuts: Cut) -> pa.Table:
    return rows_of(cuts)


async def put(table: ChunkTable, *cuts: Cut) -> CommitReport:
    """Commit documents the way the index writer does."""
    retire = {each.document.document_id: each.document.revision for each in cuts}
    return await table.commit(rows_of(cuts), retire=retire)


async def held(table: ChunkTable) -> list[tuple[str, int, str]]:
    """Return (document, revision, text) of every chunk, sorted; a chunk that is there twice is listed twice."""
    found: list[tuple[str, int, str]] = []
    for document_id in {stored.document_id for stored in await table.stored_documents()}:
        chunks = await table.document_chunks(document_id, skip=0, limit=10_000)
        found += zip(*(chunks[name].to_pylist() for name in ("document_id", "revision", "text")), strict=True)
    return sorted(found)
