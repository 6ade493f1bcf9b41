"""Tenants, endpoints and events in a database, and a dispatcher that tells of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from core.clock import Clock, SystemClock
from core.events import EventType
from core.ids import EventId, TenantId, new_id
from server.webhooks.dispatch.dispatcher import Dispatcher
from server.webhooks.dispatch.post import Post
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from server.webhooks.sealing import Sealing
from stores.egress import Allowance, Egress
from stores.outbox import Outbox
from stores.redis import EVENTS, Bell, connect
from stores.sql.engine import Database
from stores.sql.models import TenantRow, WebhookEndpointRow
from vault.envelope import Envelope

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SEALING = Sealing(envelope=Envelope(bytes(32)))
LOOPBACK = Allowance.of(["127.0.0.0/8", "::1/128"])


async def add_tenant(database: Database, name: str = "tenant") -> TenantId:
    tenant_id = TenantId(new_id())
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name=name, created_at=SystemClock().now()))
    return tenant_id


async def add_endpoint(
    database: Database, tenant_id: TenantId, url: str, *, sealing: Sealing = SEALING, **given: Any
) -> str:
    """Add an endpoint that wants everything, unless `given` says otherwise; return its id."""
    endpoint_id, now = new_id(), SystemClock().now()
    columns: dict[str, Any] = {
        "description": "",
        "event_types": ["*"],
        "ordered": False,
        "sealed_headers": sealing.seal_headers("{}", endpoint_id),
        "sealed_secret": sealing.seal_secret(SECRET, endpoint_id),
        "failures_in_a_row": 0,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        **given,
    }
    async with database.transaction() as session:
        session.add(WebhookEndpointRow(id=endpoint_id, tenant_id=tenant_id, url=url, **columns))
    return endpoint_id


async def tell(
    database: Database, tenant_id: TenantId, outbox: Outbox, payload: dict[str, Any], subject: str | None = None
) -> EventId:
    """Commit one event."""
    async with database.transaction() as session:
        return outbox.append(session, tenant_id, EventType.RAG_DOCUMENT_INDEXED, payload, subject=subject)


@asynccontextmanager
async def dispatching(
    database: Database,
    redis_url: str,
    *,
    clock: Clock | None = None,
    lease: timedelta = timedelta(seconds=90),
    timeout_seconds: float = 60.0,
    sealing: Sealing = SEALING,
    **given: Any,
) -> AsyncIterator[tuple[Dispatcher, Outbox]]:
    """Yield a dispatcher that may speak to loopback, and an outbox that wakes it."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as opened:
        redis = connect(redis_url)
        opened.push_async_callback(redis.aclose)
        ways = [Egress(allow=LOOPBACK, kept_seconds=30.0), Egress(allow=LOOPBACK, kept_seconds=30.0, allowed_only=True)]
        for egress in ways:
            opened.push_async_callback(egress.close)
        bell = Bell(redis, new_id(), wakes=EVENTS)
        outbox = Outbox(clock, bell)
        yield (
            Dispatcher(
                database=database,
                relay=Relay(database=database, clock=clock, new_id=new_id),
                deliveries=Deliveries(database, clock, outbox, lease=lease),
                post=Post(secure=ways[0], plain=ways[1], sealing=sealing, clock=clock, timeout_seconds=timeout_seconds),
                bell=bell,
                **given,
            ),
            outbox,
        )
