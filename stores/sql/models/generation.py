"""Index generations: what each was built with, which one answers, and what each holds of every document."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class GenerationState(StrEnum):
    BUILDING = "building"
    READY = "ready"
    ACTIVE = "active"
    STANDBY = "standby"
    RETIRED = "retired"


class GenerationRow(Base):
    """`embedder`, `space` and `chunking` are a snapshot: a later change of settings never reaches it."""

    __tablename__ = "index_generations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "number"),
        Index("ix_index_generations_state", "state"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    number: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    embedder: Mapped[str] = mapped_column(String(60))
    space: Mapped[str] = mapped_column(String(80))
    dimensions: Mapped[int] = mapped_column(Integer)
    # What its table is called by, besides the tenant.
    table_space: Mapped[str] = mapped_column(String(80))
    # None keeps each document's own chunking.
    chunking: Mapped[dict[str, Any] | None] = mapped_column(Json)
    evaluation: Mapped[dict[str, Any] | None] = mapped_column(Json)
    evaluated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When a builder last said that it is at work on it.
    worked_on_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    built_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class IndexPointerRow(Base):
    """The one pointer of a tenant: the generation that answers. To promote is to move it."""

    __tablename__ = "index_pointers"

    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), primary_key=True)
    generation_id: Mapped[str] = mapped_column(Id, ForeignKey("index_generations.id"))
    previous_id: Mapped[str | None] = mapped_column(Id, ForeignKey("index_generations.id"))
    # Of its last move, in index_moves.
    sequence: Mapped[int] = mapped_column(Integer)


class IndexMoveRow(Base):
    """Where the pointer has been: which generation answered at which time."""

    __tablename__ = "index_moves"

    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    generation_id: Mapped[str] = mapped_column(Id, ForeignKey("index_generations.id"))
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime)
    moved_by: Mapped[str] = mapped_column(String(100))
    forced: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str | None] = mapped_column(Text)


class GenerationDocumentRow(Base):
    """What a generation holds of a document. Without a revision it could not be built, and the error says why."""

    __tablename__ = "generation_documents"
    __table_args__ = (Index("ix_generation_documents_document", "document_id"),)

    generation_id: Mapped[str] = mapped_column(Id, ForeignKey("index_generations.id"), primary_key=True)
    document_id: Mapped[str] = mapped_column(Id, ForeignKey("documents.id"), primary_key=True)
    indexed_revision: Mapped[int | None] = mapped_column(Integer)
    chunk_count: Mapped[int] = mapped_column(Integer)
    # `documents.indexed_at` when this was made of it: an older one is behind.
    source_indexed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)


class IndexTagRow(Base):
    """A name for one version of one generation's table, which is kept as long as the name is."""

    __tablename__ = "index_tags"

    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    generation_id: Mapped[str] = mapped_column(Id, ForeignKey("index_generations.id"))
    version: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class GoldenSetRow(Base):
    """Questions whose answers are known; a generation is measured by them before it may answer."""

    __tablename__ = "golden_sets"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(100))
    questions: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
