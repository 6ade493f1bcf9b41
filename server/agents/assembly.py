"""The services of the wing, made from what they share: by the API, and by the processes beside it."""

from dataclasses import dataclass

from core.clock import Clock
from core.ids import IdSource
from server.agents.executions.service import ExecutionService
from server.agents.flows.service import FlowService
from server.agents.nodes.registry import build_registry
from server.agents.schedules.service import ScheduleService
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    flows: FlowService
    executions: ExecutionService
    schedules: ScheduleService


def agents_wing(
    *,
    database: Database,
    blobs: BlobStore,
    outbox: Outbox,
    bell: Bell,
    audit: AuditLog,
    clock: Clock,
    new_id: IdSource,
    cursors: Cursors,
) -> Agents:
    """`bell` wakes the workers; `blobs` holds large outputs."""
    flows = FlowService(
        database=database,
        registry=build_registry(clock=clock),
        audit=audit,
        clock=clock,
        new_id=new_id,
        cursors=cursors,
    )
    executions = ExecutionService(
        database=database,
        blobs=blobs,
        outbox=outbox,
        bell=bell,
        audit=audit,
        clock=clock,
        new_id=new_id,
        cursors=cursors,
    )
    schedules = ScheduleService(
        database=database,
        flows=flows,
        executions=executions,
        audit=audit,
        clock=clock,
        new_id=new_id,
        cursors=cursors,
    )
    return Agents(flows=flows, executions=executions, schedules=schedules)
