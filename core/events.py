"""The event catalogue: what the platform tells the world, each name written once."""

from enum import StrEnum


class EventType(StrEnum):
    """Names are `<room>.<noun>.<past participle>`; a new one needs a page in docs."""

    RAG_DOCUMENT_INDEXED = "rag.document.indexed"
    RAG_DOCUMENT_FAILED = "rag.document.failed"
    RAG_DOCUMENT_DELETED = "rag.document.deleted"
    RAG_GENERATION_CREATED = "rag.generation.created"
    RAG_GENERATION_READY = "rag.generation.ready"
    RAG_GENERATION_PROMOTED = "rag.generation.promoted"
    RAG_GENERATION_ROLLED_BACK = "rag.generation.rolled_back"
    RAG_GENERATION_RETIRED = "rag.generation.retired"
    RAG_SOURCE_CRAWLED = "rag.source.crawled"
    RAG_SOURCE_BRAKED = "rag.source.braked"
    RAG_SOURCE_FAILED = "rag.source.failed"
