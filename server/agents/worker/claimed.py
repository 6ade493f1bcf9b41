"""An execution as the worker that has it knows it, and what is to be written down of it at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from core.ids import TenantId
from server.agents.nodes.base import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The right to work on an execution. `fence` must be shown with everything that is written."""

    id: str
    tenant_id: TenantId
    flow_id: str
    flow_version: int
    input: str
    context: str
    usage: str
    max_cost_micros: int | None
    cost_micros: int
    on_budget: Literal["pause", "fail"]
    deadline_at: datetime | None
    cancel_requested: bool
    fence: int
    attempts: int
    resumptions: int
    last_seq: int
    is_new: bool
    is_fork: bool
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the execution stands from now on. `until` is when a waiting one is looked at again; None: when called."""

    state: str
    result: str | None = None
    error: str | None = None
    until: datetime | None = None
    paths: Sequence[str] = ()
    told: Mapping[str, Any] | None = None  # what the outbox tells


@dataclass(slots=True, kw_only=True)
class Batch:
    """All that was noted of one execution since the commit before."""

    claimed: Claimed
    done: "asyncio.Future[None]"
    new_steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    changed_steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    waits: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    last_seq: int = 0
    progressed: bool = False
    started: bool = False
    ended: Ended | None = None
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a batch. `lost`: somebody else has the execution, and nothing was written."""

    lost: bool = False
    cancel_requested: bool = False
