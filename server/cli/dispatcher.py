"""`python -m server dispatcher`: telling webhook endpoints of events, and people by mail, as a process."""

import asyncio
import os
import signal
import socket
from datetime import timedelta

from core import log, tracing
from core.clock import SystemClock
from core.ids import new_id
from core.settings import Settings
from server.cli import root_key
from server.cli.mailroom import mailroom
from server.webhooks.dispatch.dispatcher import Dispatcher
from server.webhooks.dispatch.post import Post
from server.webhooks.dispatch.service import Deliveries
from server.webhooks.relay.service import Relay
from server.webhooks.sealing import Sealing
from stores.egress import Allowance, Egress
from stores.outbox import Outbox
from stores.redis import EVENTS, Bell, connect
from stores.sql.engine import Database
from vault.open import open_envelope

# An endpoint that is told often keeps its connection; longer than this many a proxy has closed it.
_KEPT_SECONDS = 30.0
_USER_AGENT = "CodexOS-Webhooks"


def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    log.configure(level=settings.log_level)
    root_key.check(settings)
    with tracing.sending_to(settings.traces_endpoint, part="dispatcher"):
        asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, database, redis = SystemClock(), Database(settings.sql_url), connect(settings.redis_connection)
    allow, connections = Allowance.of(settings.egress_allow), settings.webhooks_in_flight
    secure = Egress(allow=allow, user_agent=_USER_AGENT, connections=connections, kept_seconds=_KEPT_SECONDS)
    plain = Egress(
        allow=allow, user_agent=_USER_AGENT, connections=connections, kept_seconds=_KEPT_SECONDS, allowed_only=True
    )
    envelope = open_envelope(settings)
    bell = Bell(redis, f"{socket.gethostname()}:{os.getpid()}", wakes=EVENTS)
    dispatcher = Dispatcher(
        database=database,
        relay=Relay(database=database, clock=clock, new_id=new_id),
        deliveries=Deliveries(database, clock, Outbox(clock), lease=timedelta(seconds=settings.webhook_lease_seconds)),
        post=Post(
            secure=secure,
            plain=plain,
            sealing=Sealing(envelope=envelope),
            clock=clock,
            timeout_seconds=settings.webhook_timeout_seconds,
        ),
        bell=bell,
        in_flight=settings.webhooks_in_flight,
    )
    log.get_logger().info("dispatcher.ready")
    try:
        await asyncio.gather(dispatcher.run(stop), mailroom(settings, database, envelope, clock).run(stop))
    finally:
        for egress in (secure, plain):
            await egress.close()
        await redis.aclose()
        await database.dispose()
