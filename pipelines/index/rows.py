"""Turn chunks and their vectors into the rows of a chunk table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from core.ids import ChunkId, content_id
from pipelines.document import Chunk, Document, Passage
from pipelines.embedding.base import Vectors
from stores.lance.schema import JSON, chunk_schema
from stores.lance.terms import terms_of


class Embedded(Protocol):
    """A document that has been cut and embedded: one row of `vectors` per passage."""

    @property
    def document(self) -> Document | None: ...
    @property
    def passages(self) -> Sequence[Passage]: ...
    @property
    def vectors(self) -> Vectors | None: ...


def chunks_of(document: Document, passages: Sequence[Passage]) -> list[Chunk]:
    """Give each passage its identity: the same text in the same place of the same document is the same chunk."""
    return [
        Chunk(
            chunk_id=ChunkId(
                content_id("chunk", document.tenant_id, document.document_id, str(passage.position), passage.text)
            ),
            document=document,
            passage=passage,
        )
        for passage in passages
    ]


def rows_of(works: Sequence[Embedded]) -> pa.Table:
    """Return the rows of all chunks of these documents, in order. Raises ValueError if one is not embedded."""
    blocks: list[Vectors] = []
    rows: list[dict[str, Any]] = []
    for work in works:
        if work.document is None or work.vectors is None or len(work.vectors) != len(work.passages):
            raise ValueError("Only a document with a vector for every passage has rows.")
        blocks.append(np.asarray(work.vectors, dtype=np.float32))
        rows.extend(_rows(work.document, work.passages))
    if not blocks:
        raise ValueError("There is nothing to make rows of.")
    return _table(rows, np.concatenate(blocks))


def _table(rows: Sequence[Mapping[str, Any]], vectors: Vectors) -> pa.Table:
    schema = chunk_schema(vectors.shape[1])

    def column(field: pa.Field) -> pa.Array:
        if field.name == "vector":
            return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        values = [row[field.name] for row in rows]
        if field.type == JSON:
            return pa.ExtensionArray.from_storage(JSON, pa.array(values, pa.string()))
        return pa.array(values, field.type)

    return pa.table([column(field) for field in schema], schema=schema)


def _rows(document: Document, passages: Sequence[Passage]) -> Iterator[dict[str, Any]]:
    described = _Described.of(document)
    for chunk in chunks_of(document, passages):
        passage = chunk.passage
        yield {
            "chunk_id": chunk.chunk_id,
            "document_id": document.document_id,
            "revision": document.revision,
            "position": passage.position,
            "text": _storable(passage.text),
            "page": passage.page,
            "section": None if passage.section is None else _storable(passage.section),
            "start": passage.start,
            "end": passage.end,
            "tokens": passage.tokens,
            "source": _storable(document.source),
            "source_type": document.source_type,
            "collection": document.collection,
            "metadata": described.metadata,
            "terms": described.terms(passage.page),
        }


@dataclass(frozen=True, slots=True)
class _Described:
    """What all chunks of a document share, spelled once."""

    attributes: Mapping[str, Any]
    metadata: str
    by_page: dict[int | None, list[str]]

    @classmethod
    def of(cls, document: Document) -> "_Described":
        # The user's names come first: a system field answers to a bare name only if the metadata leaves it free.
        system = {
            "document_id": document.document_id,
            "source": document.source,
            "source_type": document.source_type,
            "collection": document.collection,
        }
        metadata = _storable(json.dumps(document.metadata, ensure_ascii=False, allow_nan=False))
        return cls({**system, **document.metadata}, metadata, {})

    def terms(self, page: int | None) -> list[str]:
        if page not in self.by_page:
            paged = {} if page is None else {"page": page}
            self.by_page[page] = terms_of({**paged, **self.attributes})
        return self.by_page[page]


def _storable(text: str) -> str:
    """Replace half surrogate pairs, which some parsers let through and UTF-8 cannot spell."""
    return text.encode("utf-8", "replace").decode("utf-8")
