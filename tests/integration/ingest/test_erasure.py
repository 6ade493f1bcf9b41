"""A deleted document leaves nothing in the vector cache that tells of its text, whichever lane deletes it."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.ids import DocumentId, TenantId, new_id
from core.settings import Settings
from pipelines.assembly import Ingestion, open_ingestion
from pipelines.embedding.cache import content_key
from pipelines.index.generations import follow
from pipelines.ingest import IngestTools, Work
from pipelines.streams.ingest_lane import work_off
from stores.generations import Generation
from stores.job_keeper import keep
from stores.sql.models import GenerationRow, GenerationState, JobRow, JobStatus, Lane
from tests.factories.posting import Poster
from tests.fakes.plain_text_parser import PlainTextParser


@dataclass
class Lanes:
    """An ingestion that works when it is told to, and a look into its cache."""

    ingestion: Ingestion
    poster: Poster
    cache_file: Path

    async def work(self) -> None:
        while jobs := await self.ingestion.letterbox.claim("test", Lane.STREAM, limit=32):
            async with keep(self.ingestion.letterbox, jobs, lease=self.ingestion.job_lease) as kept:
                await work_off(self.ingestion.tools, self.ingestion.writer, jobs, kept)

    async def status_after_retry(self) -> JobStatus:
        """Take the one open job again without waiting for its delay; return how it ended."""
        [job_id] = await self.poster.open_jobs()
        async with self.ingestion.database.transaction() as session:
            job = await session.get_one(JobRow, job_id)
            job.available_at = self.poster.clock.now()
        await self.work()
        async with self.ingestion.database.reading() as session:
            return JobStatus((await session.get_one(JobRow, job_id)).status)

    def cached(self, tenant_id: TenantId, texts: Sequence[str]) -> list[str]:
        """Return those of `texts` whose vector is in the cache."""
        keys = {content_key(tenant_id, self.ingestion.embedder.space, text): text for text in texts}
        return [keys[key] for key in self.ingestion.tools.vectors.get_many(list(keys))]

    def uses(self) -> set[DocumentId]:
        with sqlite3.connect(self.cache_file) as connection:
            found = {DocumentId(row[0]) for row in connection.execute("SELECT DISTINCT document FROM uses")}
        connection.close()
        return found


@asynccontextmanager
async def lanes(home: Path, database_url: str) -> AsyncIterator[Lanes]:
    settings = Settings(home=home, database_url=database_url, embedder="hashed")
    async with open_ingestion(settings, Lane.STREAM, SystemClock()) as ingestion:
        ingestion = replace(ingestion, tools=replace(ingestion.tools, parser=PlainTextParser()))
        yield Lanes(ingestion, Poster(ingestion.database, settings.blob_path), home / "vectors.sqlite3")


async def test_deleted_document_is_forgotten_in_all_its_revisions(database_url: str, tmp_path: Path) -> None:
    """Texts of its newest and of earlier revisions go; one that another document has as well stays until that goes."""
    async with lanes(tmp_path, database_url) as lane:
        tenant_id = await lane.poster.tenant()
        texts = ["The first wording.", "The second wording.", "A common footer."]
        first = await lane.poster.post(tenant_id, texts[0])
        await lane.work()
        await lane.poster.post(tenant_id, texts[1], document_id=first)
        await lane.work()
        await lane.poster.post(tenant_id, texts[2], document_id=first)
        second = await lane.poster.post(tenant_id, texts[2])
        await lane.work()
        assert sorted(lane.cached(tenant_id, texts)) == sorted(texts)

        await lane.poster.delete(tenant_id, first)
        await lane.work()
        assert lane.cached(tenant_id, texts) == [texts[2]]
        assert lane.uses() == {second}
        await lane.poster.delete(tenant_id, second)
        await lane.work()
        assert lane.cached(tenant_id, texts) == []
        assert lane.uses() == set()


async def test_deletion_stays_open_until_the_cache_has_forgotten(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked cache puts the job back, and the next try finishes it: a deletion never succeeds by half."""
    async with lanes(tmp_path, database_url) as lane:
        tenant_id = await lane.poster.tenant()
        document_id = await lane.poster.post(tenant_id, "A text to be erased.")
        await lane.work()
        await lane.poster.delete(tenant_id, document_id)
        cache = type(lane.ingestion.tools.vectors)

        def locked(self: object, document_ids: Sequence[DocumentId]) -> None:
            raise sqlite3.OperationalError("database is locked")

        with monkeypatch.context() as patched:
            patched.setattr(cache, "forget", locked)
            await lane.work()
        assert await lane.poster.open_jobs() != []
        assert lane.cached(tenant_id, ["A text to be erased."]) != []
        assert await lane.status_after_retry() is JobStatus.SUCCEEDED
        assert lane.cached(tenant_id, ["A text to be erased."]) == []


async def test_a_builder_leaves_nothing_of_what_is_deleted_meanwhile(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had embedded the document anew after the deletion had forgotten it: it forgets it as well."""
    async with lanes(tmp_path, database_url) as lane:
        tenant_id = await lane.poster.tenant()
        document_id = await lane.poster.post(tenant_id, "A text to be erased.")
        await lane.work()
        candidate = await a_candidate(lane.ingestion, tenant_id)
        embed = follow.embed

        async def late(tools: IngestTools, works: Sequence[Work]) -> list[Work]:
            await lane.poster.delete(tenant_id, document_id)
            await lane.work()
            assert lane.uses() == set()
            embedded = await embed(tools, works)
            assert lane.uses() == {document_id}
            return embedded

        monkeypatch.setattr(follow, "embed", late)
        assert (await lane.ingestion.follower.follow(candidate)).documents == 0
        assert lane.uses() == set()
        assert lane.cached(tenant_id, ["A text to be erased."]) == []


async def a_candidate(ingestion: Ingestion, tenant_id: TenantId) -> Generation:
    """Ask for a second generation of the tenant's index, as the API does."""
    embedder = ingestion.embedder
    async with ingestion.database.transaction() as session:
        row = GenerationRow(
            id=new_id(),
            tenant_id=tenant_id,
            number=2,
            state=GenerationState.BUILDING,
            embedder="hashed",
            space=embedder.space,
            dimensions=embedder.dimensions,
            table_space=f"{embedder.space}-g2",
            created_by="test",
            created_at=SystemClock().now(),
        )
        session.add(row)
    return Generation.of(row)
