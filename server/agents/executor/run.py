"""One execution under way: what all its frames and steps share."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Literal, Protocol, TypeAlias

from core.errors import CodexError
from core.ids import TenantId
from server.agents.executor.budget import Budget
from server.agents.executor.journal import Fault, Journal
from server.agents.executor.language import Language
from server.agents.executor.plan import Plan
from server.agents.flow.definition import Json
from server.agents.nodes.base import Registry

# A run of nodes that never wait for anything lets others have the processor this often.
_NODES_BETWEEN_BREATHS = 32


class Flows(Protocol):
    async def plan(self, flow_id: str, version: int) -> Plan:
        """Return what a version of a flow does. Raises NodeFailed."""

    async def current(self, flow_id: str) -> int:
        """Return the version that runs when nobody names one. Raises NodeFailed."""


class Secrets(Protocol):
    async def value(self, key: str, host: str) -> str:
        """Return a secret for a call to `host`. Raises CodexError."""


class FlowFailed(Exception):
    """A node failed beyond its retries, and no fallback edge led out of it."""

    def __init__(self, fault: Fault, path: str) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.path = path


class Sticks(BaseException):
    """A flow that runs inside of a node cannot go on. Not for nodes to catch."""


class OutOfBudget(BaseException):
    """A call for which there is no budget. Not for nodes to catch."""


class BudgetExhausted(BaseException):
    """The same, where the whole execution is to fail then."""


class Stuck(Enum):
    """Here nothing goes on for now."""

    STUCK = auto()


STUCK = Stuck.STUCK
# What a graph comes to that runs inside of another.
CameTo: TypeAlias = "Json | Stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process gives to every execution."""

    registry: Registry
    language: Language
    now: Callable[[], datetime]
    dice: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True, kw_only=True)
class Run:
    tenant_id: TenantId
    execution_id: str
    plan: Plan
    input: Json
    context: Json
    journal: Journal
    surroundings: Surroundings
    secrets: Secrets
    flows: Flows
    budget: Budget = field(default_factory=lambda: Budget(most_micros=None))
    on_budget: Literal["pause", "fail"] = "pause"
    deadline_at: datetime | None = None
    # Where it cannot go on, and since until when.
    parked: dict[str, datetime | None] = field(default_factory=dict)
    needs_budget: bool = False
    _visits: int = 0

    def park(self, path: str, until: datetime | None) -> None:
        self.parked[path] = until

    async def breathe(self) -> None:
        """Let others have the processor now and then."""
        self._visits += 1
        if self._visits % _NODES_BETWEEN_BREATHS == 0:
            await asyncio.sleep(0)


def fault_of(error: CodexError) -> Fault:
    return Fault(code=getattr(error, "node_code", error.code), message=error.message)
