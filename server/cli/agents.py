"""`python -m server agents`: running executions of flows, as a process."""

import asyncio
import os
import signal
import socket
from collections.abc import Sequence
from datetime import timedelta

from core import log
from core.clock import SystemClock
from core.settings import Settings
from core.tasks import ended
from pipelines.embedding.catalogue import EmbedderCatalogue
from server.agents.executor.run import Surroundings
from server.agents.flow.language import FlowLanguage
from server.agents.nodes.registry import World, build_registry
from server.agents.worker.flows import Plans
from server.agents.worker.scribe import Scribe
from server.agents.worker.service import Ledger
from server.agents.worker.worker import Worker
from server.agents.worker.working import Workshop
from server.cli import root_key
from server.cli.clockwork import clockwork
from server.rag.answers.service import Answers
from server.rag.queries.service import Answering
from server.rag.query_index import QueryEmbedders, QueryIndexes
from server.wiring.configured import chat_models, operators_egress, rerankings
from stores.blobs import BlobStore
from stores.egress import Allowance, Egress
from stores.generations import Generations
from stores.hints import Hints
from stores.index_history import IndexHistory
from stores.lance import LanceStore
from stores.outbox import Outbox
from stores.redis import AGENTS, EVENTS, Bell, connect
from stores.sql.engine import Database
from vault.open import open_envelope, open_safe

_USER_AGENT = "CodexOS-Agents"
# Requests of nodes on their way at one time, models at endpoints of flows among them.
_CONNECTIONS = 256


def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    log.configure(level=settings.log_level)
    root_key.check(settings)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    clock, database, redis = SystemClock(), Database(settings.sql_url), connect(settings.redis_connection)
    outbox = Outbox(clock, Bell(redis, owner, wakes=EVENTS))
    blobs = BlobStore((settings.blob_path / "executions").as_uri())
    to_models = operators_egress()
    egress = Egress(allow=Allowance.of(settings.egress_allow), user_agent=_USER_AGENT, connections=_CONNECTIONS)
    registry = build_registry(clock=clock, world=_world(settings, database, clock, to_models, egress))
    ledger = Ledger(database, clock, outbox, lease=timedelta(seconds=settings.agents_lease_seconds))
    telling = _Telling(Hints(redis))
    scribe = Scribe(
        ledger=ledger,
        blobs=blobs,
        committed=telling,
        cancel=lambda execution_id: worker.cancel(execution_id),
    )
    worker = Worker(
        ledger=ledger,
        workshop=Workshop(
            ledger=ledger,
            blobs=blobs,
            plans=Plans(ledger, registry),
            surroundings=Surroundings(registry=registry, language=FlowLanguage(), now=clock.now),
            safe=open_safe(settings, database, open_envelope(settings), clock, outbox=outbox),
            clock=clock,
            touch=scribe.touch,
        ),
        bell=Bell(redis, owner, wakes=AGENTS),
        owner=owner,
        in_flight=settings.agents_in_flight,
        per_tenant=settings.agents_per_tenant,
    )
    log.get_logger().info("agents.ready", owner=owner)
    writing = asyncio.create_task(scribe.run())
    try:
        schedules = clockwork(settings, database, outbox, Bell(redis, owner, wakes=AGENTS), clock)
        await asyncio.gather(worker.run(stop), schedules.run(stop))
    finally:
        await ended(writing)
        await egress.close()
        await to_models.close()
        await redis.aclose()
        await database.dispose()


def _world(settings: Settings, database: Database, clock: SystemClock, to_models: Egress, egress: Egress) -> World:
    """The model is loaded when the first flow asks for it: most processes of agents never need it."""
    embedders = QueryEmbedders(
        EmbedderCatalogue(
            settings.embedder,
            model_folder=settings.model_path,
            threads=settings.embedder_threads,
            endpoints=settings.embedding_endpoints,
        )
    )
    indexes = QueryIndexes(
        lance=LanceStore(settings.lance_path),
        embedders=embedders,
        generations=Generations(database, clock),
        history=IndexHistory(database),
    )
    answering, models = Answering(indexes=indexes, rerankings=rerankings(settings)), chat_models(settings, to_models)
    return World(answering=answering, answers=Answers(answering=answering, models=models), models=models, egress=egress)


class _Telling:
    """Hints to followers, each sent while the next steps are on their way."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, execution_ids: Sequence[str]) -> None:
        task = asyncio.create_task(self._hints.tell(execution_ids))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
