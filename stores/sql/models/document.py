"""Documents and their revisions. `indexed_revision` was indexed last; what queries may see is in generation.py."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class DocumentStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    INDEXED = "indexed"
    FAILED = "failed"
    DELETED = "deleted"


class DocumentRow(Base):
    __tablename__ = "documents"
    __table_args__ = (
        # An external id names one living document of a collection; a deleted one gives the name free.
        Index(
            "uq_documents_external_id",
            "tenant_id",
            "collection",
            "external_id",
            unique=True,
            sqlite_where=text("external_id IS NOT NULL AND status <> 'deleted'"),
            postgresql_where=text("external_id IS NOT NULL AND status <> 'deleted'"),
        ),
        Index("ix_documents_listing", "tenant_id", "created_at", "id"),
        Index("ix_documents_bucket", "bucket", "status"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    collection: Mapped[str] = mapped_column(String(200))
    external_id: Mapped[str | None] = mapped_column(String(1000))
    source: Mapped[str] = mapped_column(Text)
    source_type: Mapped[str] = mapped_column(String(20))
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    status: Mapped[str] = mapped_column(String(20))
    revision: Mapped[int] = mapped_column(Integer)
    indexed_revision: Mapped[int | None] = mapped_column(Integer)
    chunk_count: Mapped[int] = mapped_column(Integer, default=0)
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    bucket: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    indexed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DocumentRevisionRow(Base):
    """What one revision was made of: enough to rebuild its chunks at any time."""

    __tablename__ = "document_revisions"

    document_id: Mapped[str] = mapped_column(Id, ForeignKey("documents.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    # Where the document was when this was accepted. None in what is older than the column: where it is now.
    collection: Mapped[str | None] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(Text)
    source_type: Mapped[str] = mapped_column(String(20))
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    chunking: Mapped[dict[str, Any]] = mapped_column(Json)
    # Empty until the bytes of an address have been fetched.
    blob_key: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(Integer)
    # What the place said where the bytes were fetched: its final URL, ETag, Last-Modified, Content-Type.
    origin: Mapped[dict[str, str] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
