"""Passages as a search returns them."""

from core.ids import ChunkId, DocumentId, new_id
from pipelines.document import Hit


def hit(text: str, **changed: object) -> Hit:
    fields: dict[str, object] = {
        "chunk_id": ChunkId(new_id()),
        "document_id": DocumentId(new_id()),
        "revision": 1,
        "position": 0,
        "text": text,
        "score": 1.0,
        "source": "dome.md",
        "source_type": "text",
        "collection": "default",
        "page": None,
        "section": None,
        "metadata": {},
        "vector_score": None,
        "keyword_score": None,
    }
    return Hit(**(fields | changed))  # type: ignore[arg-type]
