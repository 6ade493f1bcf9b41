"""The frozen vocabulary of ingestion and retrieval: what each step hands to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.ids import ChunkId, DocumentId, TenantId


class ElementKind(StrEnum):
    """What a piece of a document is; a reduction of unstructured's categories to those a chunker acts on."""

    TITLE = "title"
    TEXT = "text"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"


class ChunkingStrategy(StrEnum):
    FIXED = "fixed"
    RECURSIVE = "recursive"
    SEMANTIC = "semantic"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """Bytes as they were handed in. `name` is a label for people and never opened.

    Of a web page only the main content counts; a page that somebody posted as a file counts whole.
    """

    name: str
    content: bytes
    is_web_page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One paragraph, title, table … in reading order. `page` counts from 1.

    `section` is the path of titles above it, `Guide > Install`; `level` how deep a title is, where the format says so.
    """

    kind: ElementKind
    text: str
    page: int | None = None
    section: str | None = None
    level: int | None = None


# Elements are joined by this to make the document's text, in which chunk offsets count.
ELEMENT_SEPARATOR = "\n\n"


def document_text(elements: Sequence[Element]) -> str:
    """Return the text that chunk offsets refer to."""
    return ELEMENT_SEPARATOR.join(element.text for element in elements)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkingConfig:
    """How to cut: a snapshot that travels with the job, so a later change of defaults never reaches it.

    Both counts are tokens of the embedder's own tokenizer, special tokens not counted.
    """

    strategy: ChunkingStrategy = ChunkingStrategy.RECURSIVE
    chunk_tokens: int = 240
    overlap_tokens: int = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A span of the document's text, `text == document_text(elements)[start:end]`, that fits the embedder."""

    position: int
    text: str
    start: int
    end: int
    tokens: int
    page: int | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One revision of one document, ready to be worked on."""

    tenant_id: TenantId
    document_id: DocumentId
    revision: int
    source: str
    source_type: str
    collection: str
    metadata: Mapping[str, Any]
    chunking: ChunkingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage that belongs to a document and has its identity."""

    chunk_id: ChunkId
    document: Document
    passage: Passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One answer of a search. `score` is in 0..1; the part scores are there when that part found it."""

    chunk_id: ChunkId
    document_id: DocumentId
    revision: int
    position: int
    text: str
    score: float
    source: str
    source_type: str
    collection: str
    page: int | None
    section: str | None
    metadata: Mapping[str, Any]
    vector_score: float | None = None
    keyword_score: float | None = None
    rerank_score: float | None = None
