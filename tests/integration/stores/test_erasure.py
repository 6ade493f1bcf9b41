"""Deleted documents leave a bare tombstone; bytes that another document has as well stay until that goes."""

import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from core.ids import DocumentId, TenantId
from stores.blobs import BlobStore
from stores.erasure import Erasure
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow, JobRow, JobStatus
from tests.factories.posting import Poster

HOUR = timedelta(hours=1)


class House:
    """One tenant's documents and bytes, the bytes long there."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        self.database = Database(database_url)
        self.poster = Poster(self.database, folder)
        self.erasure = Erasure(self.database, self.poster.blobs, self.poster.clock)

    async def delete(self, tenant_id: TenantId, document_id: DocumentId) -> None:
        await self.poster.delete(tenant_id, document_id)
        async with self.database.transaction() as session:
            for job in await session.scalars(select(JobRow).where(JobRow.document_id == document_id)):
                job.status, job.finished_at = JobStatus.SUCCEEDED, self.poster.clock.now()

    async def erase(self, grace: timedelta = timedelta(0)) -> int:
        return await self.erasure.erase_deleted(grace=grace)

    def age(self, hours: float = 2) -> None:
        past = time.time() - 3600 * hours
        for path in self.files():
            os.utime(path, (past, past))

    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    async def revisions(self, document_id: DocumentId) -> int:
        async with self.database.reading() as session:
            rows = await session.scalars(
                select(DocumentRevisionRow).where(DocumentRevisionRow.document_id == document_id)
            )
            return len(list(rows))


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    house = House(database_url, tmp_path / "blobs")
    yield house
    await house.database.dispose()


async def test_a_deleted_document_leaves_a_bare_tombstone(house: House) -> None:
    """Bytes and revisions, every one of them, are gone; id, collection and dates stay."""
    tenant_id = await house.poster.tenant()
    document_id = await house.poster.post(tenant_id, "first wording", source="secret-plan.txt")
    await house.poster.post(tenant_id, "second wording", document_id=document_id)
    await house.delete(tenant_id, document_id)
    house.age()
    assert len(house.files()) == 2
    assert await house.erase() == 1
    assert (house.files(), await house.revisions(document_id)) == ([], 0)
    async with house.database.reading() as session:
        row = await session.get_one(DocumentRow, document_id)
    assert (row.status, row.source, row.external_id, row.user_metadata) == ("deleted", "", None, {})
    assert row.deleted_at is not None
    assert await house.erase() == 0


@pytest.mark.parametrize("first", [0, 1])
async def test_twins_are_erased_one_at_a_time(house: House, first: int) -> None:
    """In both orders: whichever goes first leaves the bytes to the other, and the other takes them along."""
    tenant_id = await house.poster.tenant()
    twins = [await house.poster.post(tenant_id, "the same bytes") for _ in range(2)]
    house.age()
    [path] = house.files()
    await house.delete(tenant_id, twins[first])
    assert await house.erase() == 1
    assert house.files() == [path]
    assert (await house.revisions(twins[first]), await house.revisions(twins[1 - first])) == (0, 1)
    await house.delete(tenant_id, twins[1 - first])
    assert await house.erase() == 1
    assert house.files() == []


async def test_twins_deleted_together_go_together(house: House) -> None:
    """Neither keeps the bytes for the other's sake."""
    tenant_id = await house.poster.tenant()
    for document_id in [await house.poster.post(tenant_id, "the same bytes") for _ in range(2)]:
        await house.delete(tenant_id, document_id)
    house.age()
    assert await house.erase() == 2
    assert house.files() == []


async def test_another_tenants_twin_is_another_object(house: House) -> None:
    """What one tenant erases is nothing to the other."""
    first, second = await house.poster.tenant(), await house.poster.tenant()
    gone = await house.poster.post(first, "the same bytes")
    await house.poster.post(second, "the same bytes")
    await house.delete(first, gone)
    house.age()
    assert await house.erase() == 1
    assert [path.parts[-3] for path in house.files()] == [second]


async def test_nothing_is_erased_before_its_time(house: House) -> None:
    """Not within the grace, and not while a job of the document is open."""
    tenant_id = await house.poster.tenant()
    document_id = await house.poster.post(tenant_id, "some bytes")
    await house.poster.delete(tenant_id, document_id)
    house.age()
    assert await house.erase() == 0, "its deletion is still to be done"
    await house.delete(tenant_id, await house.poster.post(tenant_id, "other bytes"))
    assert await house.erase(grace=HOUR) == 0
    assert len(house.files()) == 2


async def test_bytes_just_put_again_are_left_alone(house: House) -> None:
    """Somebody is about to commit a revision of them: the date says so, and nothing else can."""
    tenant_id = await house.poster.tenant()
    await house.delete(tenant_id, await house.poster.post(tenant_id, "some bytes"))
    house.age()
    key = await house.poster.blobs.put(tenant_id, b"some bytes")
    assert await house.erase() == 1
    assert await house.poster.blobs.get(tenant_id, key) == b"some bytes"
    assert [path.name for path in house.files()] == [key]


async def test_bytes_needed_in_the_last_moment_are_put_back(tmp_path: Path) -> None:
    """A revision committed between asking and erasing keeps them; meanwhile they could be read."""
    blobs, tenant_id = BlobStore(tmp_path.as_uri()), TenantId("t")
    key = await blobs.put(tenant_id, b"some bytes")
    for path in tmp_path.rglob(key):
        os.utime(path, (0, 0))
    answers = iter([False, True])

    async def is_used() -> bool:
        assert await blobs.get(tenant_id, key) == b"some bytes"
        return next(answers)

    assert await blobs.erase(tenant_id, key, is_used) is False
    assert await blobs.get(tenant_id, key) == b"some bytes"
