"""The letterbox table: one row per piece of asynchronous work, with its lease."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class JobKind(StrEnum):
    INGEST = "rag.ingest"
    DELETE = "rag.delete"


class JobStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Lane(StrEnum):
    STREAM = "stream"
    BATCH = "batch"
    # Of the stream worker as well, in slots of their own: a site that takes its time keeps no posted file waiting.
    FETCH = "fetch"


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_claim", "status", "lane", "available_at"),
        Index("ix_jobs_document", "document_id", "status"),
        Index("ix_jobs_report", "finished_by", "reported_at", "finished_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    kind: Mapped[str] = mapped_column(String(20))
    document_id: Mapped[str] = mapped_column(Id, ForeignKey("documents.id"))
    revision: Mapped[int] = mapped_column(Integer)
    bucket: Mapped[int] = mapped_column(Integer)
    lane: Mapped[str] = mapped_column(String(10))
    status: Mapped[str] = mapped_column(String(20))
    # For a queued job the time from which it may be taken; for one in work the time its lease ends.
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    fence: Mapped[int] = mapped_column(Integer, default=0)
    owner: Mapped[str | None] = mapped_column(String(200))
    progress: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_by: Mapped[str | None] = mapped_column(String(10))
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
