"""Executions of flows: where they stand, the journal of their steps, what they told, and what they wait for."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from stores.sql.models.base import Base
from stores.sql.types import Id, UtcDateTime


class ExecutionState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    BUDGET_EXHAUSTED = "budget_exhausted"


class StepState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


# What a worker may take: only these are in the index it looks into.
_OPEN = "state IN ('queued', 'running', 'waiting')"


class ExecutionRow(Base):
    """One execution of one version of a flow. What is JSON stands as text, so that it is given back as it came.

    `available_at`: when a worker may take it; while one has it, when its lease ends; far away while it waits for
    somebody. `fence` tells the worker that may write. `last_seq` numbers its events, without gaps.
    """

    __tablename__ = "executions"
    __table_args__ = (
        Index(
            "ix_executions_claim", "available_at", "tenant_id", sqlite_where=text(_OPEN), postgresql_where=text(_OPEN)
        ),
        Index("ix_executions_listed", "tenant_id", "created_at", "id"),
        Index("ix_executions_of_flow", "flow_id", "created_at", "id"),
        Index(
            "ix_executions_finished_at",
            "finished_at",
            sqlite_where=text("finished_at IS NOT NULL"),
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "ix_executions_parent_id",
            "parent_id",
            sqlite_where=text("parent_id IS NOT NULL"),
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    flow_id: Mapped[str] = mapped_column(Id)
    flow_version: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    # How it was asked for (wait, background, stream, schedule, mcp, chat), for people to read.
    mode: Mapped[str] = mapped_column(String(20))
    input: Mapped[str] = mapped_column(Text)
    context: Mapped[str] = mapped_column(Text)
    result: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[str] = mapped_column(Text)
    max_cost_micros: Mapped[int | None] = mapped_column(BigInteger)
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    on_budget: Mapped[str] = mapped_column(String(10))
    deadline_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    available_at: Mapped[datetime] = mapped_column(UtcDateTime)
    owner: Mapped[str | None] = mapped_column(String(200))
    fence: Mapped[int] = mapped_column(Integer)
    # How often a worker has taken it, and how often it was resumed after its end.
    attempts: Mapped[int] = mapped_column(Integer)
    resumptions: Mapped[int] = mapped_column(Integer)
    last_seq: Mapped[int] = mapped_column(BigInteger)
    # The execution whose subflow node brought it about.
    parent_id: Mapped[str | None] = mapped_column(Id)
    parent_path: Mapped[str | None] = mapped_column(Text)
    forked_from_id: Mapped[str | None] = mapped_column(Id)
    forked_from_node: Mapped[str | None] = mapped_column(String(255))
    fork_receipt: Mapped[str | None] = mapped_column(Text)
    schedule_id: Mapped[str | None] = mapped_column(Id)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExecutionStepRow(Base):
    """One attempt at one node. `path` is where it ran ("triage", or "each/3/classify" inside of others).

    `output` is JSON; a large one is a blob, named by `output_blob`. `number` is the order in which steps began.
    """

    __tablename__ = "execution_steps"
    __table_args__ = (Index("ix_execution_steps_path", "execution_id", "path", "attempt", unique=True),)

    execution_id: Mapped[str] = mapped_column(Id, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    path: Mapped[str] = mapped_column(Text)
    node_id: Mapped[str] = mapped_column(String(255))
    node_type: Mapped[str] = mapped_column(String(40))
    attempt: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(20))
    # What its output and those before it come to: equal digests, equal work; a fork reuses by it.
    cause_sha256: Mapped[str | None] = mapped_column(String(64))
    port: Mapped[str | None] = mapped_column(String(255))
    output: Mapped[str | None] = mapped_column(Text)
    output_blob: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    usage: Mapped[str | None] = mapped_column(Text)
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExecutionCallRow(Base):
    """One call that a step made and that is not made again: a turn of a model, a tool, a request. `result` is JSON."""

    __tablename__ = "execution_calls"

    execution_id: Mapped[str] = mapped_column(Id, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    result: Mapped[str | None] = mapped_column(Text)
    result_blob: Mapped[str | None] = mapped_column(String(64))
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExecutionEventRow(Base):
    """One thing that an execution told. The same numbers for WebSocket, SSE and REST."""

    __tablename__ = "execution_events"

    execution_id: Mapped[str] = mapped_column(Id, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    type: Mapped[str] = mapped_column(String(40))
    data: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class ExecutionWaitRow(Base):
    """What an execution waits for: a person's answer, a signal, or a time. `answer` is JSON, once there is one."""

    __tablename__ = "execution_waits"

    execution_id: Mapped[str] = mapped_column(Id, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    kind: Mapped[str] = mapped_column(String(20))
    # The signal's name; of a person, what they are asked.
    name: Mapped[str] = mapped_column(Text)
    schema: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer: Mapped[str | None] = mapped_column(Text)
    answered_by: Mapped[str | None] = mapped_column(String(100))
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExecutionSignalRow(Base):
    """A signal that came, kept until a node takes it: also one that came before anybody waited for it."""

    __tablename__ = "execution_signals"
    __table_args__ = (Index("ix_execution_signals_waiting", "execution_id", "name", "taken_by", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    execution_id: Mapped[str] = mapped_column(Id, ForeignKey("executions.id", ondelete="CASCADE"))
    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(255))
    payload: Mapped[str] = mapped_column(Text)
    sent_by: Mapped[str] = mapped_column(String(100))
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    taken_by: Mapped[str | None] = mapped_column(Text)
