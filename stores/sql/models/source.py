"""Sources of documents with a cadence, and what each of their crawls found."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Float, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class CrawlState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    BRAKED = "braked"
    FAILED = "failed"


class SourceRow(Base):
    """`type`, `location` and `collection` stay as they are: they say which documents are the source's."""

    __tablename__ = "rag_sources"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name"),
        Index("ix_rag_sources_next_crawl_at", "next_crawl_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    bucket: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(100))
    type: Mapped[str] = mapped_column(String(20))
    location: Mapped[str] = mapped_column(Text)
    collection: Mapped[str] = mapped_column(String(100))
    user_metadata: Mapped[dict[str, Any]] = mapped_column(Json)
    chunking: Mapped[dict[str, Any]] = mapped_column(Json)
    cadence_seconds: Mapped[int | None] = mapped_column(Integer)
    max_delete_fraction: Mapped[float] = mapped_column(Float)
    version: Mapped[int] = mapped_column(Integer)
    # None while it is paused, or is crawled on request only.
    next_crawl_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What the repository's host signs its pushes with; None takes none.
    sealed_webhook_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CrawlRow(Base):
    """One a source and due time. `attempt` is the fence: who began an earlier one may not close it."""

    __tablename__ = "rag_crawls"
    __table_args__ = (
        UniqueConstraint("source_id", "due_at"),
        Index("ix_rag_crawls_state", "state", "bucket"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(Id, ForeignKey("rag_sources.id", ondelete="CASCADE"))
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    bucket: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempt: Mapped[int] = mapped_column(Integer)
    counts: Mapped[dict[str, Any]] = mapped_column(Json)
    # The last name that is dealt with, in the order of names; whoever takes the crawl over goes on behind it.
    cursor: Mapped[str | None] = mapped_column(Text)
    failures: Mapped[list[dict[str, str]] | None] = mapped_column(Json)
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SourcePushRow(Base):
    """A push that made a source due. The id of its delivery is not signed, so the bytes it came in count as well."""

    __tablename__ = "rag_source_pushes"
    __table_args__ = (
        UniqueConstraint("source_id", "delivery_id"),
        UniqueConstraint("source_id", "body_sha256"),
        Index("ix_rag_source_pushes_received_at", "received_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    source_id: Mapped[str] = mapped_column(Id, ForeignKey("rag_sources.id", ondelete="CASCADE"))
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    delivery_id: Mapped[str] = mapped_column(String(100))
    body_sha256: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
