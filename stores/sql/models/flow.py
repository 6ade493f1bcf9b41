"""Flows, their immutable versions, and the times at which they run by themselves."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, Json, UtcDateTime


class FlowRow(Base):
    """`version` counts changes of this row, for ETags; `latest_number` is the newest of its versions.

    `published_number` is what runs when nobody names a version. `search_name` is the name as it is searched for.
    """

    __tablename__ = "flows"
    __table_args__ = (
        Index("ix_flows_listed", "tenant_id", "created_at", "id"),
        Index("ix_flows_status", "tenant_id", "status", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(255))
    search_name: Mapped[str] = mapped_column(String(1024))
    description: Mapped[str] = mapped_column(Text)
    extra: Mapped[dict[str, Any]] = mapped_column("metadata", Json)
    status: Mapped[str] = mapped_column(String(20))
    latest_number: Mapped[int] = mapped_column(Integer)
    published_number: Mapped[int | None] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FlowVersionRow(Base):
    """What a flow does. Written once, but for when it was published; `definition` is the JSON of nodes and edges."""

    __tablename__ = "flow_versions"

    flow_id: Mapped[str] = mapped_column(Id, ForeignKey("flows.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    definition: Mapped[str] = mapped_column(Text)
    definition_sha256: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When it was published last: only such a version can be gone back to.
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FlowScheduleRow(Base):
    """`next_at` is the next time it is due, None while it is paused. `overlap` says what happens if one still runs."""

    __tablename__ = "flow_schedules"
    __table_args__ = (
        UniqueConstraint("flow_id", "name"),
        Index(
            "ix_flow_schedules_next_at",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        Index("ix_flow_schedules_tenant_id", "tenant_id", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    flow_id: Mapped[str] = mapped_column(Id, ForeignKey("flows.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255))
    cron: Mapped[str] = mapped_column(String(200))
    timezone: Mapped[str] = mapped_column(String(100))
    overlap: Mapped[str] = mapped_column(String(20))
    flow_version: Mapped[int | None] = mapped_column(Integer)
    input: Mapped[str] = mapped_column(Text)
    max_cost_micros: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"))
    paused: Mapped[bool] = mapped_column(Boolean)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Why the last time that was due brought no execution about; None if it did.
    last_problem: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FlowScheduleRunRow(Base):
    """What became of one time that a schedule was due: decided once, by whoever writes the row.

    `outcome` is started, queued (it begins when the execution before is over), skipped or refused.
    """

    __tablename__ = "flow_schedule_runs"
    __table_args__ = (
        Index(
            "ix_flow_schedule_runs_waiting",
            "schedule_id",
            sqlite_where=text("outcome = 'queued'"),
            postgresql_where=text("outcome = 'queued'"),
        ),
    )

    schedule_id: Mapped[str] = mapped_column(Id, ForeignKey("flow_schedules.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    outcome: Mapped[str] = mapped_column(String(20))
    execution_id: Mapped[str | None] = mapped_column(Id)
    problem: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
