"""A platform with a batch lane of its own: a data folder, a Dagster instance, and quick parts in place of slow ones."""

import asyncio
import dataclasses
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

import dagster as dg
from sqlalchemy import select

from assets.definitions import definitions_with
from assets.rag.partitions import partition_of
from assets.resources import PlatformResource
from core.ids import DocumentId, TenantId, new_id
from pipelines.assembly import Ingestion
from pipelines.embedding.base import Embedder
from pipelines.embedding.catalogue import EmbedderCatalogue
from stores.buckets import bucket_of
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, JobRow, JobStatus, OutboxRow, TenantRow
from tests.factories.posting import Poster
from tests.fakes.plain_text_parser import PlainTextParser

Result = TypeVar("Result")


class QuickPlatform(PlatformResource):
    """The platform with a parser that costs nothing; the embedder is the hashed one, by CODEXOS_EMBEDDER."""

    @asynccontextmanager
    async def ingestion(self) -> AsyncIterator[Ingestion]:
        async with super().ingestion() as ingestion:
            tools = dataclasses.replace(ingestion.tools, parser=PlainTextParser())
            yield dataclasses.replace(ingestion, tools=tools)


class Batch:
    """What a test does: post documents, materialise a bucket, look at what came of it."""

    def __init__(self, instance: dg.DagsterInstance, platform: PlatformResource) -> None:
        self.instance = instance
        self.platform = platform
        self.settings = platform.settings

    def run(self, work: Callable[[Poster], Coroutine[Any, Any, Result]]) -> Result:
        """Do `work` on an event loop and database of its own, as the API's process would."""

        async def do() -> Result:
            database = Database(self.settings.sql_url)
            try:
                return await work(Poster(database, self.settings.blob_path))
            finally:
                await database.dispose()

        return asyncio.run(do())

    def tenant(self, *, bucket: int | None = None) -> TenantId:
        """Add a tenant, in this bucket if it matters."""
        ids = iter(new_id, "")
        tenant_id = TenantId(next(found for found in ids if bucket is None or bucket_of(TenantId(found)) == bucket))

        async def add(poster: Poster) -> None:
            async with poster.database.transaction() as session:
                session.add(TenantRow(id=tenant_id, name="test", created_at=poster.clock.now()))

        self.run(add)
        return tenant_id

    def post(self, tenant_id: TenantId, texts: Sequence[str], **options: Any) -> list[DocumentId]:
        async def post(poster: Poster) -> list[DocumentId]:
            return [await poster.post(tenant_id, text, **options) for text in texts]

        return self.run(post)

    def materialize(
        self,
        bucket: int,
        *,
        platform: PlatformResource | None = None,
        raise_on_error: bool = True,
        **config: dict[str, Any],
    ) -> dg.ExecuteInProcessResult:
        """Run the job for a bucket; `config` is by asset."""
        job = definitions_with(platform or self.platform).resolve_job_def("index_documents")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=partition_of(bucket),
            run_config={"ops": {name: {"config": values} for name, values in config.items()}},
            raise_on_error=raise_on_error,
        )

    def let_wait(self) -> None:
        """Make every queued job as old as if the stream lane had left it lying."""

        async def age(poster: Poster) -> None:
            async with poster.database.transaction() as session:
                for job in await session.scalars(select(JobRow).where(JobRow.status == JobStatus.QUEUED)):
                    job.available_at -= timedelta(seconds=2 * self.settings.sweep_after_seconds)

        self.run(age)

    def let_leases_end(self) -> None:
        """Make every lease end now, as waiting for it would."""

        async def end(poster: Poster) -> None:
            async with poster.database.transaction() as session:
                for job in await session.scalars(select(JobRow).where(JobRow.status == JobStatus.PROCESSING)):
                    job.available_at = poster.clock.now()

        self.run(end)

    def documents(self) -> dict[str, DocumentRow]:
        return {row.id: row for row in self._rows(DocumentRow)}

    def jobs(self) -> list[JobRow]:
        return self._rows(JobRow)

    def events(self) -> Counter[str]:
        return Counter(row.type for row in self._rows(OutboxRow))

    def _rows(self, model: type[Any]) -> list[Any]:
        async def read(poster: Poster) -> list[Any]:
            async with poster.database.reading() as session:
                return list(await session.scalars(select(model)))

        return self.run(read)

    def documents_with_cached_vectors(self) -> set[DocumentId]:
        with sqlite3.connect(self.settings.home / "vectors.sqlite3") as connection:
            found = {DocumentId(row[0]) for row in connection.execute("SELECT DISTINCT document FROM uses")}
        connection.close()
        return found

    def chunk_ids(self, tenant_id: TenantId) -> Counter[str]:
        """Return how often the index holds each chunk of the tenant."""

        async def read() -> Counter[str]:
            async with self.platform.ingestion() as ingestion:
                table = await ingestion.lance.open_table(
                    tenant_id, ingestion.embedder.space, ingestion.embedder.dimensions
                )
                return Counter(await table.chunk_ids())

        return asyncio.run(read())

    def stored_chunks(self, tenant_id: TenantId) -> dict[DocumentId, int]:
        """Return how many chunks the index holds of each document of the tenant."""

        async def read() -> dict[DocumentId, int]:
            async with self.platform.ingestion() as ingestion:
                table = await ingestion.lance.open_table(
                    tenant_id, ingestion.embedder.space, ingestion.embedder.dimensions
                )
                stored = await table.stored_documents()
                assert len(stored) == len({found.document_id for found in stored}), "two revisions of one document"
                return {found.document_id: found.chunks for found in stored}

        return asyncio.run(read())


def materialized(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Return the metadata that the run recorded with an asset's materialisation, as plain values."""
    [event] = [
        found.materialization
        for found in (entry.event_specific_data for entry in result.get_asset_materialization_events())
        if found.materialization.asset_key.to_user_string() == asset
    ]
    return {name: getattr(value, "value", value) for name, value in event.metadata.items()}


def with_embedder(embedder: Embedder) -> QuickPlatform:
    """Return a platform whose embedder is this one."""

    class Platform(QuickPlatform):
        @property
        def embedders(self) -> EmbedderCatalogue:  # type: ignore[override]
            return EmbedderCatalogue.holding("hashed", embedder)

    return Platform()
