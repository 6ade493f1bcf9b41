"""Which generation answers, what each holds, and what it lacks, on every database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.ids import DocumentId, GenerationId, TenantId, new_id
from stores.generation_work import GenerationProgress, GenerationWork
from stores.generations import Generation, Generations, Holding, Space
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, DocumentStatus, GenerationRow, GenerationState
from tests.factories.posting import Poster

SPACE = Space(embedder="hashed", space="hashed-64", dimensions=64)


class Index:
    """A tenant, and documents that a lane is said to have indexed."""

    def __init__(self, database: Database, poster: Poster, tenant_id: TenantId) -> None:
        self.database = database
        self.poster = poster
        self.tenant_id = tenant_id
        self.generations = Generations(database, poster.clock)
        self.work = GenerationWork(database, poster.clock)

    async def indexed(self, document_id: DocumentId | None = None) -> DocumentId:
        """Post a document, or its next revision, and say that it is indexed."""
        posted = await self.poster.post(self.tenant_id, "text", document_id=document_id)
        async with self.database.transaction() as session:
            row = await session.get_one(DocumentRow, posted)
            row.status, row.indexed_revision = DocumentStatus.INDEXED, row.revision
            row.indexed_at, row.chunk_count = self.poster.clock.now(), 2
        return posted

    async def candidate(self) -> Generation:
        generation_id = GenerationId(new_id())
        async with self.database.transaction() as session:
            session.add(
                GenerationRow(
                    id=generation_id,
                    tenant_id=self.tenant_id,
                    number=2,
                    state=GenerationState.BUILDING,
                    embedder="hashed-8",
                    space="hashed-8",
                    dimensions=8,
                    table_space="hashed-8-g2",
                    created_by="test",
                    created_at=self.poster.clock.now(),
                )
            )
        found = await self.generations.find(generation_id)
        assert found is not None
        return found

    async def hold(self, generation: Generation, holding: Holding) -> None:
        async with self.database.transaction() as session:
            await self.generations.hold(session, generation.id, [holding])

    async def lacking(self, generation: Generation) -> list[tuple[DocumentId, int]]:
        return [(found.document_id, found.revision) for found in await self.work.behind(generation, limit=10)]

    async def progress(self, generation: Generation) -> GenerationProgress:
        return (await self.work.progress(self.tenant_id, [generation.id]))[generation.id]


@pytest.fixture
async def index(database_url: str, tmp_path: Path) -> AsyncIterator[Index]:
    database = Database(database_url)
    poster = Poster(database, tmp_path / "blobs")
    yield Index(database, poster, await poster.tenant())
    await database.dispose()


async def test_documents_from_before_belong_to_the_first_generation(index: Index) -> None:
    """It takes over the table of the configured space, and lacks nothing."""
    old = await index.indexed()
    assert await index.generations.active(index.tenant_id) is None
    first = await index.generations.adopt(index.tenant_id, SPACE)
    assert (first.number, first.state, first.table_space) == (1, GenerationState.ACTIVE, "hashed-64")
    assert await index.generations.visible(index.tenant_id, first, [old]) == {old: 1}
    assert await index.lacking(first) == []


async def test_many_who_come_first_make_one(index: Index) -> None:
    """All get the same, whoever was quickest."""
    made = await asyncio.gather(*(index.generations.adopt(index.tenant_id, SPACE) for _ in range(8)))
    assert len({found.id for found in made}) == 1
    assert len(await index.generations.of(index.tenant_id)) == 1


async def test_nobody_has_a_generation_without_a_tenant(index: Index) -> None:
    """It says so, and does not try for ever."""
    with pytest.raises(LookupError):
        await index.generations.adopt(TenantId(new_id()), SPACE)


async def test_what_is_lacking_is_what_was_indexed_since(index: Index) -> None:
    """New documents, new revisions, and the same revision indexed anew; not those that are deleted."""
    first, second = await index.indexed(), await index.indexed()
    await index.generations.adopt(index.tenant_id, SPACE)
    candidate = await index.candidate()
    assert sorted(await index.lacking(candidate)) == sorted([(first, 1), (second, 1)])
    for document_id in (first, second):
        await index.hold(candidate, Holding(document_id=document_id, revision=1, chunk_count=3))
    assert await index.lacking(candidate) == []
    await index.indexed(first)
    assert await index.lacking(candidate) == [(first, 2)]
    assert await index.progress(candidate) == GenerationProgress(documents=2, indexed=2, failed=0, behind=1, chunks=6)
    async with index.database.transaction() as session:
        row = await session.get_one(DocumentRow, second)
        assert row.indexed_at is not None
        row.indexed_at += timedelta(seconds=1)
    assert sorted(await index.lacking(candidate)) == sorted([(first, 2), (second, 1)])
    await index.poster.delete(index.tenant_id, second)
    assert await index.lacking(candidate) == [(first, 2)]
    assert await index.work.gone(candidate, limit=10) == [second]


async def test_a_failure_is_not_tried_for_ever_and_loses_nothing(index: Index) -> None:
    """The revision before goes on answering; what is said to be held never goes back."""
    document_id = await index.indexed()
    candidate = await index.candidate()
    await index.hold(candidate, Holding(document_id=document_id, revision=1, chunk_count=3))
    await index.indexed(document_id)
    failed = Holding(document_id=document_id, revision=None, chunk_count=0, error_code="X", error_message="No.")
    await index.hold(candidate, failed)
    assert await index.lacking(candidate) == []
    assert await index.generations.visible(index.tenant_id, candidate, [document_id]) == {document_id: 1}
    assert await index.progress(candidate) == GenerationProgress(documents=1, indexed=1, failed=1, behind=0, chunks=3)
    await index.hold(candidate, Holding(document_id=document_id, revision=2, chunk_count=4))
    await index.hold(candidate, Holding(document_id=document_id, revision=1, chunk_count=3))
    assert await index.generations.visible(index.tenant_id, candidate, [document_id]) == {document_id: 2}
    assert (await index.progress(candidate)).failed == 0


async def test_only_living_documents_of_the_tenant_are_visible(index: Index) -> None:
    """One that SQL does not know as held yet is, in any revision: the index may be ahead."""
    held, ahead, deleted = [await index.indexed() for _ in range(3)]
    candidate = await index.candidate()
    await index.hold(candidate, Holding(document_id=held, revision=1, chunk_count=1))
    await index.poster.delete(index.tenant_id, deleted)
    asked = [held, ahead, deleted]
    assert await index.generations.visible(index.tenant_id, candidate, asked) == {held: 1, ahead: 0}
    assert await index.generations.living(index.tenant_id, asked) == {held: 0, ahead: 0}
    assert await index.generations.visible(await index.poster.tenant(), candidate, asked) == {}
    assert await index.generations.current(candidate) == {held: 1, ahead: 0}


async def test_only_tenants_with_another_generation_are_followed(index: Index) -> None:
    """All the others need no look: lanes write into the one they have."""
    await index.generations.adopt(index.tenant_id, SPACE)
    assert await index.work.following() == []
    candidate = await index.candidate()
    assert [found.number for found in await index.work.following(index.tenant_id)] == [1, 2]
    await index.work.begin(candidate.id)
    now = SystemClock().now()
    assert await index.work.worked_on_since(now - timedelta(minutes=1)) == {candidate.id}
    await index.work.end(candidate.id)
    assert await index.work.worked_on_since(now - timedelta(minutes=1)) == set()
