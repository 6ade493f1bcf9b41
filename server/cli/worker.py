"""`python -m server worker`: the stream lane as a process."""

import asyncio
import os
import signal
import socket

from core import log, tracing
from core.clock import SystemClock
from core.settings import Settings
from pipelines.assembly import open_ingestion
from pipelines.streams.ingest_lane import IngestLane
from stores.redis import EVENTS, Bell, beat_forever, connect
from stores.sql.models import Lane


def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then end this process."""
    asyncio.run(_end_traced(settings))


async def _end_traced(settings: Settings) -> None:
    with tracing.sending_to(settings.traces_endpoint, part="worker"):
        await _work(settings)
    # A thread may still be embedding a batch that was put back; waiting for it would only delay the end.
    os._exit(0)


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    redis = connect(settings.redis_connection)
    news = Bell(redis, owner, wakes=EVENTS)
    async with open_ingestion(settings, Lane.STREAM, SystemClock(), event_bell=news) as ingestion:
        # Beside the lane: a job that comes first waits for the parsers, a deletion need not.
        warming = asyncio.create_task(ingestion.tools.parser.warm())
        lane = IngestLane(
            tools=ingestion.tools,
            writer=ingestion.writer,
            letterbox=ingestion.letterbox,
            bell=Bell(redis, owner),
            lease=ingestion.job_lease,
            owner=owner,
            follower=ingestion.follower,
        )
        heart = asyncio.create_task(beat_forever(redis))
        log.get_logger().info("worker.ready", owner=owner)
        await lane.run(stop)
        heart.cancel()
        warming.cancel()
