"""Events, told or waiting to be told. A row exists if and only if the change it tells of was committed."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class OutboxRow(Base):
    __tablename__ = "outbox"
    __table_args__ = (
        # Of a million events those that nobody was told of are a few: only they are in here.
        Index(
            "ix_outbox_waiting",
            "sequence",
            sqlite_where=text("number IS NULL"),
            postgresql_where=text("number IS NULL"),
        ),
        Index("ix_outbox_number", "tenant_id", "number", unique=True),
        Index("ix_outbox_created_at", "created_at"),
    )

    # SQLite counts by itself only in a column that is exactly INTEGER.
    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    )
    id: Mapped[str] = mapped_column(String(40), unique=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    type: Mapped[str] = mapped_column(String(100))
    # What it happened to; events of one subject can be told in their order.
    subject: Mapped[str | None] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # The tenant's own count, given when the event is handed out. `sequence` has gaps, and may be seen out of order.
    number: Mapped[int | None] = mapped_column(BigInteger)
