"""Put the ingestion together from its settings: the same parts for the stream worker and for a Dagster run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from core.clock import Clock
from pipelines.chunking import chunkers_for
from pipelines.embedding import open_embedder
from pipelines.embedding.base import Embedder
from pipelines.embedding.cache import SqliteVectorCache
from pipelines.index_writer import IndexWriter
from pipelines.ingest import IngestTools
from pipelines.parsing.jail import JailedParser
from stores.blobs import BlobStore
from stores.documents import Documents
from stores.lance import LanceStore
from stores.leases import Leases
from stores.letterbox import Letterbox
from stores.outbox import Outbox
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
    embedder: Embedder
    tools: IngestTools
    writer: IndexWriter
    job_lease: timedelta


@asynccontextmanager
async def open_ingestion(
    settings: "Settings", lane: Lane, clock: Clock, embedder: Embedder | None = None
) -> AsyncIterator[Ingestion]:
    """Open the stores and the model, start no work, and close everything at the end of the block.

    `embedder` is one that the caller has loaded already.
    """
    job_lease = timedelta(seconds=settings.job_lease_seconds)
    if embedder is None:
        embedder = await asyncio.to_thread(
            open_embedder, settings.embedder, model_folder=settings.model_path, threads=settings.embedder_threads
        )
    database = Database(settings.sql_url)
    letterbox = Letterbox(database, clock, lease=job_lease, sweep_after=timedelta(seconds=settings.sweep_after_seconds))
    documents = Documents(database, clock)
    blobs = BlobStore(settings.blob_path.as_uri())
    lance = LanceStore(settings.lance_path)
    leases = Leases(database, clock, job_lease)
    parser = JailedParser(timeout_seconds=settings.parse_timeout_seconds, memory_bytes=settings.parse_memory_bytes)
    tools = IngestTools(
        documents=documents,
        blobs=blobs,
        parser=parser,
        chunkers=chunkers_for(embedder),
        embedder=embedder,
        vectors=SqliteVectorCache(settings.home / "vectors.sqlite3"),
        max_attempts=settings.job_max_attempts,
    )
    writer = IndexWriter(
        database=database,
        letterbox=letterbox,
        documents=documents,
        outbox=Outbox(clock),
        leases=leases,
        lance=lance,
        embedder=embedder,
        lane=lane,
        max_attempts=settings.job_max_attempts,
    )
    try:
        yield Ingestion(
            database=database,
            letterbox=letterbox,
            documents=documents,
            blobs=blobs,
            lance=lance,
            leases=leases,
            embedder=embedder,
            tools=tools,
            writer=writer,
            job_lease=job_lease,
        )
    finally:
        await parser.close()
        await database.dispose()
