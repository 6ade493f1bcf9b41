"""Make, from the settings, what assets and sensors work with. The only file of this floor that reads settings."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

from assets.lease_thread import LeaseThread
from assets.stage_tables import StageTables
from core.clock import Clock, SystemClock
from core.ids import JobId, TenantId, new_id
from core.settings import Environment, Settings
from pipelines.embedding.base import Embedder
from pipelines.embedding.catalogue import EmbedderCatalogue
from stores.documents import Documents
from stores.golden_sets import GoldenSets
from stores.letterbox import Job, Letterbox
from stores.outbox import Outbox
from stores.redis import EVENTS, Bell, connect
from stores.sources import Crawls
from stores.sql.engine import Database
from stores.sql.models import Lane
from stores.tenants import DEVELOPMENT, oldest_tenant_named
from vault.keeper import SecretKeeper
from vault.open import open_envelope, open_safe

if TYPE_CHECKING:
    # Loads the model runtime and LanceDB: a code server that only lists assets must not pay for them.
    from pipelines.assembly import Ingestion
    from pipelines.index.generations.build import Builder
    from pipelines.sources.crawl import Crawler


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What taking jobs needs: no model, no index, so a sensor's tick can afford it."""

    letterbox: Letterbox
    documents: Documents


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """The platform, opened per step on that step's own event loop: async engines are not shared between loops.

    With the in-process executor one instance serves a whole run, so leases taken in its first step last to its end.
    """

    _leases: list[LeaseThread] = PrivateAttr(default_factory=list)
    _held: set[str] = PrivateAttr(default_factory=set)

    @cached_property
    def settings(self) -> Settings:
        return Settings()

    @cached_property
    def embedders(self) -> EmbedderCatalogue:
        """Every embedder that a tenant's index may ask for, each loaded once a run."""
        settings = self.settings
        return EmbedderCatalogue(
            settings.embedder,
            model_folder=settings.model_path,
            threads=settings.embedder_threads,
            endpoints=settings.embedding_endpoints,
        )

    @property
    def embedder(self) -> Embedder:
        """The configured embedder."""
        return self.embedders.open(self.embedders.configured)

    @property
    def clock(self) -> Clock:
        return SystemClock()

    @property
    def stage_folder(self) -> Path:
        """Where the tables between stages lie."""
        return self.settings.dagster_path / "storage" / "stages"

    @asynccontextmanager
    async def intake(self) -> AsyncIterator[Intake]:
        """Yield letterbox and documents."""
        settings = self.settings
        async with self.database() as database:
            letterbox = Letterbox(
                database,
                self.clock,
                lease=timedelta(seconds=settings.job_lease_seconds),
                sweep_after=timedelta(seconds=settings.sweep_after_seconds),
            )
            yield Intake(letterbox=letterbox, documents=Documents(database, self.clock))

    @asynccontextmanager
    async def generation_builder(self) -> AsyncIterator["Builder"]:
        """Yield what builds index generations."""
        from pipelines.index.generations.build import Builder

        async with self.ingestion() as ingestion:
            yield Builder(
                follower=replace(ingestion.follower, tools=ingestion.tools),
                golden_sets=GoldenSets(ingestion.database),
                outbox=Outbox(self.clock),
                clock=self.clock,
                tolerance=self.settings.promotion_tolerance,
            )

    @asynccontextmanager
    async def crawls(self) -> AsyncIterator[Crawls]:
        """Yield what knows which sources are due."""
        async with self.database() as database:
            yield Crawls(database=database, outbox=Outbox(self.clock), clock=self.clock, new_id=new_id)

    @asynccontextmanager
    async def crawler(self) -> AsyncIterator["Crawler"]:
        """Yield what crawls sources: no model and no index."""
        from pipelines.sources.opening import open_crawler

        async with open_crawler(self.settings, self.clock) as crawler:
            yield crawler

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """Yield the database, without anything above it."""
        database = Database(self.settings.sql_url)
        try:
            yield database
        finally:
            await database.dispose()

    @asynccontextmanager
    async def outbox(self) -> AsyncIterator[tuple[Database, Outbox, TenantId] | None]:
        """Yield the outbox with the operator's tenant, None if there is none."""
        database = Database(self.settings.sql_url)
        redis = connect(self.settings.redis_connection)
        try:
            tenant_id = await self._operator(database)
            bell = Bell(redis, "dagster", wakes=EVENTS)
            yield None if tenant_id is None else (database, Outbox(self.clock, bell), tenant_id)
        finally:
            await redis.aclose()
            await database.dispose()

    @asynccontextmanager
    async def secret_keeper(self) -> AsyncIterator[SecretKeeper]:
        """Yield what tells of secrets that end, and destroys those that were deleted."""
        settings = self.settings
        redis = connect(settings.redis_connection)
        try:
            async with self.database() as database:
                outbox = Outbox(self.clock, Bell(redis, "dagster", wakes=EVENTS))
                yield SecretKeeper(
                    safe=open_safe(settings, database, open_envelope(settings), self.clock, outbox=outbox)
                )
        finally:
            await redis.aclose()

    async def _operator(self, database: Database) -> TenantId | None:
        if self.settings.operator_tenant is not None:
            return TenantId(self.settings.operator_tenant)
        if self.settings.environment is not Environment.DEVELOPMENT:
            return None
        return await oldest_tenant_named(database, DEVELOPMENT)

    @asynccontextmanager
    async def letterbox(self) -> AsyncIterator[Letterbox]:
        """Yield the letterbox alone."""
        async with self.intake() as intake:
            yield intake.letterbox

    @asynccontextmanager
    async def ingestion(self) -> AsyncIterator["Ingestion"]:
        """Yield stores, tools and writer of the batch lane."""
        from pipelines.assembly import open_ingestion

        async with open_ingestion(self.settings, Lane.BATCH, self.clock, self.embedders) as ingestion:
            yield ingestion

    def hold(self, jobs: Sequence[Job]) -> None:
        """Keep the leases of `jobs` alive until they are put down or the run ends; held ones are not held twice."""
        fresh = [job for job in jobs if job.id not in self._held]
        if not fresh:
            return
        thread = LeaseThread(self.letterbox, fresh, lease=timedelta(seconds=self.settings.job_lease_seconds))
        thread.start()
        self._leases.append(thread)
        self._held.update(job.id for job in fresh)

    def put_down(self, jobs: Sequence[Job]) -> None:
        """Stop renewing `jobs`: the writer closed them or put them back."""
        for thread in self._leases:
            thread.put_down(jobs)

    def report(self, progress: Mapping[JobId, Mapping[str, Any]]) -> None:
        """Tell clients how far jobs in hand have come."""
        for thread in self._leases:
            thread.report({job_id: said for job_id, said in progress.items() if job_id in thread.job_ids})

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        while self._leases:
            self._leases.pop().stop()


class StageTablesResource(dg.ConfigurableIOManagerFactory[StageTables]):
    """Places the stage tables in the platform's data folder."""

    platform: dg.ResourceDependency[PlatformResource]

    def create_io_manager(self, context: dg.InitResourceContext) -> StageTables:
        return StageTables(self.platform.stage_folder)
