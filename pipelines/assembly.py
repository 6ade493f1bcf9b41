"""Put the ingestion together from its settings: the same parts for the stream worker and for a Dagster run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.clock import Clock
from core.ids import new_id
from pipelines.embedding.base import Embedder
from pipelines.embedding.cache import SqliteVectorCache
from pipelines.embedding.catalogue import EmbedderCatalogue
from pipelines.index.generations.follow import Follower
from pipelines.index.indexes import Indexes
from pipelines.index_writer import IndexWriter
from pipelines.ingest import IngestTools
from pipelines.parsing.jail import JailedParser
from pipelines.sources.contents import Contents
from pipelines.sources.expansion import Expansion
from pipelines.sources.github import GitHub
from pipelines.sources.web import WebPages
from stores.blobs import BlobStore
from stores.documents import Documents
from stores.egress import Allowance, Egress
from stores.fetched import Fetches
from stores.generation_work import GenerationWork
from stores.generations import Generations
from stores.lance import LanceStore
from stores.leases import Leases
from stores.letterbox import Letterbox
from stores.members import Members
from stores.outbox import Outbox
from stores.redis import Bell
from stores.sql.engine import Database
from stores.sql.models import Lane

if TYPE_CHECKING:
    from core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """Everything a lane needs. Valid inside `open_ingestion` and on its event loop only."""

    database: Database
    letterbox: Letterbox
    documents: Documents
    blobs: BlobStore
    lance: LanceStore
    leases: Leases
    indexes: Indexes
    embedder: Embedder
    """The one that is configured; a tenant's generation may have another."""
    tools: IngestTools
    writer: IndexWriter
    follower: Follower
    job_lease: timedelta


def catalogue_of(settings: "Settings") -> EmbedderCatalogue:
    """Return the embedders of these settings, none of them opened yet."""
    return EmbedderCatalogue(
        settings.embedder,
        model_folder=settings.model_path,
        threads=settings.embedder_threads,
        endpoints=settings.embedding_endpoints,
    )


@asynccontextmanager
async def open_ingestion(
    settings: "Settings",
    lane: Lane,
    clock: Clock,
    embedders: EmbedderCatalogue | None = None,
    *,
    event_bell: Bell | None = None,
) -> AsyncIterator[Ingestion]:
    """Open the stores and the model, start no work, and close everything at the end of the block.

    `embedders` are those that the caller has loaded already; `event_bell` wakes whoever tells of events.
    """
    job_lease = timedelta(seconds=settings.job_lease_seconds)
    embedders = embedders or catalogue_of(settings)
    embedder = await asyncio.to_thread(embedders.open, embedders.configured)
    database = Database(settings.sql_url)
    letterbox = Letterbox(database, clock, lease=job_lease, sweep_after=timedelta(seconds=settings.sweep_after_seconds))
    documents = Documents(database, clock)
    indexes = Indexes(generations=Generations(database, clock), embedders=embedders)
    blobs = BlobStore(settings.blob_path.as_uri())
    outbox = Outbox(clock, event_bell)
    lance = LanceStore(settings.lance_path)
    leases = Leases(database, clock, job_lease)
    egress = Egress(allow=Allowance.of(settings.egress_allow))
    parser = JailedParser(timeout_seconds=settings.parse_timeout_seconds, memory_bytes=settings.parse_memory_bytes)
    tools = IngestTools(
        documents=documents,
        contents=Contents(
            blobs=blobs,
            fetches=Fetches(database),
            pages=WebPages(egress, max_bytes=settings.max_upload_bytes),
        ),
        expansion=Expansion(
            github=GitHub(egress=egress, base_url=settings.github_url, max_file_bytes=settings.max_upload_bytes),
            blobs=blobs,
            members=Members(database=database, letterbox=letterbox, outbox=outbox, clock=clock, new_id=new_id),
        ),
        parser=parser,
        indexes=indexes,
        vectors=SqliteVectorCache(settings.home / "vectors.sqlite3"),
        max_attempts=settings.job_max_attempts,
    )
    writer = IndexWriter(
        database=database,
        letterbox=letterbox,
        documents=documents,
        outbox=outbox,
        leases=leases,
        lance=lance,
        indexes=indexes,
        lane=lane,
        max_attempts=settings.job_max_attempts,
        retain=timedelta(hours=settings.index_retain_hours),
    )
    try:
        yield Ingestion(
            database=database,
            letterbox=letterbox,
            documents=documents,
            blobs=blobs,
            lance=lance,
            leases=leases,
            indexes=indexes,
            embedder=embedder,
            tools=tools,
            writer=writer,
            follower=Follower(tools=tools, writer=writer, work=GenerationWork(database, clock)),
            job_lease=job_lease,
        )
    finally:
        await parser.close()
        await egress.close()
        await database.dispose()
