"""Workers of executions in this process, over real stores, and the service that executions are asked of."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.errors import ResourceNotFound
from core.ids import ApiKeyId, TenantId, new_id
from core.tasks import ended
from server.agents.executions.service import ExecutionService
from server.agents.executor.run import Surroundings
from server.agents.flow.language import FlowLanguage
from server.agents.nodes.base import Registry
from server.agents.nodes.registry import build_registry
from server.agents.worker.flows import Plans
from server.agents.worker.scribe import Scribe
from server.agents.worker.service import Ledger
from server.agents.worker.worker import Worker
from server.agents.worker.working import Workshop
from server.auth.principal import Principal, Scope
from server.openapi.pagination import Cursors
from stores.audit import AuditLog
from stores.blobs import BlobStore
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database
from stores.sql.models import TenantRow

TENANT = TenantId("00000000-0000-7000-8000-000000000001")


class SilentBell(Bell):
    """Nobody rings, and everything is found by polling."""

    def __init__(self) -> None:
        pass

    async def ring(self) -> None:
        pass

    async def wait(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return False


class EmptySafe:
    async def resolve(self, tenant_id: TenantId, key: str, **_more: str) -> Any:
        raise ResourceNotFound("secret", key)


def caller(tenant_id: TenantId = TENANT) -> Principal:
    return Principal(tenant_id=tenant_id, scopes=frozenset(Scope), key_id=ApiKeyId("test"))


def service(database: Database, home: Path) -> ExecutionService:
    clock = SystemClock()
    return ExecutionService(
        database=database,
        blobs=BlobStore((home / "executions").as_uri()),
        outbox=Outbox(clock),
        bell=SilentBell(),
        audit=AuditLog(clock),
        clock=clock,
        new_id=new_id,
        cursors=Cursors(lambda content: [hashlib.sha256(content).digest()]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    worker: Worker
    scribe: Scribe


@asynccontextmanager
async def a_worker(
    database: Database,
    home: Path,
    *,
    types: Registry | None = None,
    owner: str = "one",
    in_flight: int = 64,
    per_tenant: int = 64,
    lease_seconds: float = 30.0,
    safe: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Running]:
    """A worker that runs for the block; `types` adds to the node types there are."""
    clock = SystemClock()
    registry = {**build_registry(clock=clock), **(types or {})}
    blobs = BlobStore((home / "executions").as_uri())
    ledger = Ledger(database, clock, Outbox(clock), lease=timedelta(seconds=lease_seconds))
    scribe = Scribe(
        ledger=ledger,
        blobs=blobs,
        committed=lambda _ids: None,
        cancel=lambda name: worker.cancel(name),
    )
    worker = Worker(
        ledger=ledger,
        workshop=Workshop(
            ledger=ledger,
            blobs=blobs,
            plans=Plans(ledger, registry),
            surroundings=Surroundings(registry=registry, language=FlowLanguage(), now=clock.now),
            safe=safe or EmptySafe(),
            clock=clock,
            touch=scribe.touch,
        ),
        bell=SilentBell(),
        owner=owner,
        in_flight=in_flight,
        per_tenant=per_tenant,
        poll_seconds=0.02,
        **(settings or {}),
    )
    stop = asyncio.Event()
    tasks = [asyncio.create_task(scribe.run()), asyncio.create_task(worker.run(stop))]
    try:
        yield Running(worker=worker, scribe=scribe)
    finally:
        stop.set()
        await asyncio.wait(tasks[1:], timeout=30)
        await ended(*tasks)


async def a_tenant(database: Database, tenant_id: TenantId = TENANT) -> TenantId:
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name=f"t{tenant_id[-3:]}", created_at=SystemClock().now()))
    return tenant_id
