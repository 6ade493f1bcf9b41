"""What flows of a tenant do, made ready to run. Versions never change, so that they are made ready once."""

import json
from collections import OrderedDict

from core.ids import TenantId
from server.agents.executor.plan import Plan, definition_of, plan_of
from server.agents.nodes.base import NodeFailed, Registry
from server.agents.worker.service import Ledger

_MOST_PLANS = 256
_Key = tuple[str, str, int]


class Plans:
    """One a process, for all tenants: the most recently used plans."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self._ledger = ledger
        self._registry = registry
        self._ready: OrderedDict[_Key, Plan] = OrderedDict()

    def of(self, tenant_id: TenantId) -> "TenantFlows":
        return TenantFlows(self, tenant_id)

    async def plan(self, tenant_id: TenantId, flow_id: str, version: int) -> Plan:
        """Raises NodeFailed if there is no such version."""
        key = (tenant_id, flow_id, version)
        plan = self._ready.get(key)
        if plan is None:
            text = await self._ledger.definition(tenant_id, flow_id, version)
            if text is None:
                raise NodeFailed(f"The flow {flow_id} has no version {version}.", code="FLOW_NOT_FOUND")
            plan = self._ready[key] = plan_of(definition_of(json.loads(text)), self._registry)
        self._ready.move_to_end(key)
        while len(self._ready) > _MOST_PLANS:
            self._ready.popitem(last=False)
        return plan

    async def current(self, tenant_id: TenantId, flow_id: str) -> int:
        """Return the version that runs when nobody names one. Raises NodeFailed."""
        found = await self._ledger.current_version(tenant_id, flow_id)
        if found is None:
            raise NodeFailed(f"There is no flow {flow_id}.", code="FLOW_NOT_FOUND")
        return found


class TenantFlows:
    """Flows as one execution sees them: those of its tenant."""

    def __init__(self, plans: Plans, tenant_id: TenantId) -> None:
        self._plans = plans
        self._tenant_id = tenant_id

    async def plan(self, flow_id: str, version: int) -> Plan:
        return await self._plans.plan(self._tenant_id, flow_id, version)

    async def current(self, flow_id: str) -> int:
        return await self._plans.current(self._tenant_id, flow_id)
