"""Who is told of which events, and what came of telling them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class DeliveryState(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class WebhookEndpointRow(Base):
    """Secrets and headers are sealed. `secret_rotated_at` tells how long the secret before this one signs as well."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("ix_webhook_endpoints_tenant_id", "tenant_id", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(Json)
    ordered: Mapped[bool] = mapped_column(Boolean)
    sealed_headers: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    secret_rotated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(String(40))
    # Since when no delivery has succeeded; None while they do.
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures_in_a_row: Mapped[int] = mapped_column(Integer)
    # Nothing is sent before this: the circuit is open.
    rests_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebhookDeliveryRow(Base):
    """One event on its way to one endpoint. `fence` tells the attempt that may write down how it ended.

    `available_at` is when it may be tried next; while it is being tried, when its lease ends. `copy` is 0 for the
    delivery that the event brought about, and counts what was replayed.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id", "copy"),
        # Of a million deliveries those that wait are a few: only they are in here.
        Index(
            "ix_webhook_deliveries_waiting",
            "endpoint_id",
            "available_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_webhook_deliveries_order",
            "endpoint_id",
            "subject",
            "id",
            sqlite_where=text("state = 'pending' AND subject IS NOT NULL"),
            postgresql_where=text("state = 'pending' AND subject IS NOT NULL"),
        ),
        Index("ix_webhook_deliveries_listed", "endpoint_id", "created_at", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    endpoint_id: Mapped[str] = mapped_column(Id, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(50))
    event_type: Mapped[str] = mapped_column(String(100))
    copy: Mapped[int] = mapped_column(Integer)
    # What this delivery waits its turn by, where the endpoint wants order.
    subject: Mapped[str | None] = mapped_column(String(200))
    # The very bytes that are sent, each time the same.
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(Integer)
    fence: Mapped[int] = mapped_column(Integer)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class WebhookAttemptRow(Base):
    """One request, and what was answered. `error` says in a sentence why there is no answer."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[str] = mapped_column(
        Id, ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    milliseconds: Mapped[int] = mapped_column(Integer)
    status_code: Mapped[int | None] = mapped_column(Integer)
    response_body: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)


class EventSequenceRow(Base):
    """The number of a tenant's newest event; numbers are given without gaps, in the order of telling."""

    __tablename__ = "event_sequences"

    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"), primary_key=True)
    last: Mapped[int] = mapped_column(Integer)
