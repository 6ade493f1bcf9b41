"""Flows run in this process over a journal in memory, without a database or a worker."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.clock import Clock, FrozenClock
from core.ids import TenantId
from server.agents.executor.engine import execute
from server.agents.executor.journal import Ending
from server.agents.executor.memory import MemoryJournal
from server.agents.executor.plan import Plan, definition_of, plan_of
from server.agents.executor.run import Run, Surroundings
from server.agents.flow.language import FlowLanguage
from server.agents.nodes.base import NodeFailed, Registry
from server.agents.nodes.registry import build_registry


class FlowsInMemory:
    """Flows by id, each in one version."""

    def __init__(self, plans: Mapping[str, Plan]) -> None:
        self._plans = plans

    async def plan(self, flow_id: str, version: int) -> Plan:
        if flow_id not in self._plans:
            raise NodeFailed("There is no such flow.", code="RESOURCE_NOT_FOUND")
        return self._plans[flow_id]

    async def current(self, flow_id: str) -> int:
        return 1


class SecretsInMemory:
    """Secrets by key, as (value, host)."""

    def __init__(self, secrets: Mapping[str, tuple[str, str]]) -> None:
        self._secrets = secrets

    async def value(self, key: str, host: str) -> str:
        value, allowed = self._secrets[key]
        if host != allowed:
            raise NodeFailed("The secret may not go to that host.", code="FORBIDDEN")
        return value


class NoSecrets:
    async def value(self, key: str, host: str) -> str:
        raise NodeFailed("There is no such secret.", code="RESOURCE_NOT_FOUND")


def flow(nodes: Mapping[str, tuple[str, Mapping[str, Any]]], *edges: Sequence[str]) -> dict[str, Any]:
    """Return a definition: nodes by id as (type, config), edges as (source, target) or (source, target, condition)."""
    return {
        "nodes": [{"id": name, "type": kind, "config": dict(config)} for name, (kind, config) in nodes.items()],
        "edges": [
            {"source": edge[0], "target": edge[1], **({"condition": edge[2]} if len(edge) > 2 else {})}
            for edge in edges
        ],
    }


async def run_flow(
    definition: Mapping[str, Any],
    given: Any = None,
    *,
    journal: MemoryJournal | None = None,
    clock: Clock | None = None,
    registry: Registry | None = None,
    flows: Mapping[str, Mapping[str, Any]] | None = None,
    secrets: Mapping[str, tuple[str, str]] | None = None,
) -> Ending:
    """Run a definition from where its journal stands; `registry` adds to the types there are."""
    now = (clock or FrozenClock()).now
    types = {**build_registry(clock=clock or FrozenClock()), **(registry or {})}

    def planned(each: Mapping[str, Any]) -> Plan:
        return plan_of(definition_of(dict(each)), types)

    run = Run(
        tenant_id=TenantId("t"),
        execution_id="e",
        plan=planned(definition),
        input=given,
        context={},
        journal=journal or MemoryJournal(now),
        surroundings=Surroundings(registry=types, language=FlowLanguage(), now=now),
        secrets=NoSecrets() if secrets is None else SecretsInMemory(secrets),
        flows=FlowsInMemory({name: planned(each) for name, each in (flows or {}).items()}),
    )
    return await execute(run)
