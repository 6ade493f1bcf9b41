"""The real application on a real socket, wired as in production, with a model that costs nothing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sanic import Sanic

from core.clock import SystemClock
from core.ids import TenantId, new_id
from core.settings import Settings
from pipelines.embedding.cache import MemoryVectorCache
from pipelines.embedding.catalogue import EmbedderCatalogue
from pipelines.index.generations.build import Builder
from pipelines.index.generations.follow import Follower
from pipelines.index.generations.wanted import wanted
from pipelines.index.indexes import Indexes
from pipelines.index_writer import IndexWriter
from pipelines.ingest import IngestTools
from pipelines.sources.contents import Contents
from pipelines.sources.expansion import Expansion
from pipelines.sources.github import GitHub
from pipelines.sources.web import WebPages
from pipelines.streams.ingest_lane import work_off
from server.app.application import create_app
from server.auth.api_keys.service import create_key, create_tenant
from server.auth.principal import Scope
from server.middleware.framing import StrictProtocol
from stores.blobs import BlobStore
from stores.documents import Documents
from stores.egress import Allowance, Egress
from stores.fetched import Fetches
from stores.generation_work import GenerationWork
from stores.generations import Generations
from stores.golden_sets import GoldenSets
from stores.job_keeper import keep
from stores.lance import LanceStore
from stores.leases import Leases
from stores.letterbox import Letterbox
from stores.members import Members
from stores.outbox import Outbox
from stores.sql.engine import Database
from stores.sql.models import Lane
from tests.fakes.parsing import ParagraphParser

LEASE = timedelta(seconds=30)


def settings_for(home: Path, database_url: str | None, **overrides: Any) -> Settings:
    """Return settings of a server with its own folder; no Redis, unless `redis_url` names one."""
    nowhere = f"unix://{home / 'no-redis.sock'}"
    given = {
        "home": home,
        "database_url": database_url,
        "redis_url": nowhere,
        "embedder": "hashed",
        "promotion_wait_seconds": 3.0,
        "rate_limit_authenticated_per_minute": 1_000_000,
        "rate_limit_unauthenticated_per_minute": 1_000_000,
        **overrides,
    }
    return Settings(**given)


@dataclass(frozen=True, kw_only=True)
class Api:
    """A running server and the means to make its tenants and do its worker's work."""

    settings: Settings
    url: str
    database: Database
    _lane: list[tuple[IngestTools, IndexWriter]] = field(default_factory=list)

    async def tenant(self, scopes: Sequence[Scope] = tuple(Scope)) -> tuple[TenantId, str]:
        """Return a new tenant and a key of it."""
        tenant_id = await create_tenant(self.database, SystemClock(), "test")
        return tenant_id, await self.key(tenant_id, scopes)

    async def key(self, tenant_id: TenantId, scopes: Sequence[Scope] = tuple(Scope)) -> str:
        return await create_key(self.database, SystemClock(), tenant_id, name="test", mode="test", scopes=scopes)

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def egress(self) -> Egress:
        return Egress(allow=Allowance.of(self.settings.egress_allow))

    def lane(self) -> tuple[IngestTools, IndexWriter]:
        """Return what a worker works with: made once, its tables stay open."""
        if not self._lane:
            self._lane.append(self._make_lane())
        return self._lane[0]

    def _make_lane(self) -> tuple[IngestTools, IndexWriter]:
        clock = SystemClock()
        embedders = EmbedderCatalogue(self.settings.embedder, model_folder=self.settings.model_path, threads=1)
        indexes = Indexes(generations=Generations(self.database, clock), embedders=embedders)
        letterbox = Letterbox(self.database, clock, lease=LEASE, sweep_after=LEASE)
        documents = Documents(self.database, clock)
        tools = IngestTools(
            documents=documents,
            contents=Contents(
                blobs=BlobStore(self.settings.blob_path.as_uri()),
                fetches=Fetches(self.database),
                pages=WebPages(self.egress(), max_bytes=self.settings.max_upload_bytes),
            ),
            expansion=Expansion(
                github=GitHub(egress=self.egress(), base_url=self.settings.github_url),
                blobs=BlobStore(self.settings.blob_path.as_uri()),
                members=Members(
                    database=self.database, letterbox=letterbox, outbox=Outbox(clock), clock=clock, new_id=new_id
                ),
            ),
            parser=ParagraphParser(),
            indexes=indexes,
            vectors=MemoryVectorCache(),
            max_attempts=self.settings.job_max_attempts,
        )
        writer = IndexWriter(
            database=self.database,
            letterbox=letterbox,
            documents=documents,
            outbox=Outbox(clock),
            leases=Leases(self.database, clock, LEASE),
            lance=LanceStore(self.settings.lance_path),
            indexes=indexes,
            lane=Lane.STREAM,
            max_attempts=self.settings.job_max_attempts,
        )
        return tools, writer

    async def work(self) -> int:
        """Do everything that is waiting, as a worker would; return how many jobs that were."""
        tools, writer = self.lane()
        done = 0
        lanes = (Lane.STREAM, Lane.FETCH)
        while jobs := [job for lane in lanes for job in await writer.letterbox.claim("test", lane, limit=32)]:
            async with keep(writer.letterbox, jobs, lease=LEASE) as kept:
                await work_off(tools, writer, jobs, kept)
            done += len(jobs)
        return done

    def builder(self) -> Builder:
        tools, writer = self.lane()
        clock = SystemClock()
        return Builder(
            follower=Follower(tools=tools, writer=writer, work=GenerationWork(self.database, clock)),
            golden_sets=GoldenSets(self.database),
            outbox=Outbox(clock),
            clock=clock,
            tolerance=self.settings.promotion_tolerance,
        )

    async def build(self) -> int:
        """Build every generation for which there is something to do, as a builder would; return how many."""
        builder = self.builder()
        generations = builder.follower.writer.indexes.generations
        found = await wanted(builder.work, generations, builder.golden_sets, builder.clock)
        for generation in found:
            await builder.build(generation)
        return len(found)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Api]:
    """Serve in this event loop, on a free port of the loopback interface."""
    Sanic.test_mode = True  # allows one application after another under the same name
    app = create_app(settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        server = await app.create_server(sock=listener, return_asyncio_server=True, protocol=StrictProtocol)
        assert server is not None
        await server.startup()
        await server.before_start()
        await server.start_serving()
        await server.after_start()
        database = Database(settings.sql_url)
        try:
            yield Api(settings=settings, url=f"http://127.0.0.1:{listener.getsockname()[1]}", database=database)
        finally:
            await database.dispose()
            await server.before_stop()
            await server.close()
            await asyncio.sleep(0)
            await server.after_stop()
