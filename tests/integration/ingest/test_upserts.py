"""Many processes post the same documents over and over: every revision counts, and the last one is what is indexed."""

import asyncio
import concurrent.futures
import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.ids import ApiKeyId, DocumentId, TenantId
from server.auth.principal import Principal
from server.rag.documents.schemas import IngestText
from server.wiring import open_parts
from stores.blobs import BlobKey
from stores.sql.engine import Database
from stores.sql.models import DocumentRevisionRow, DocumentRow
from tests.factories.posting import Poster
from tests.integration.ingest.test_exactly_once import (
    Truth,
    assert_nothing_lost_nothing_doubled,
    until,
    workers,
)
from tests.integration.server.running import settings_for

PROCESSES = 8
DOCUMENTS = 5


def upsert_again_and_again(
    home: Path, database_url: str, redis_url: str, tenant_id: TenantId, worker: int, upserts: int
) -> int:
    """Post one of the documents `upserts` times, as the API does; return how many were accepted."""

    async def post() -> int:
        owner = Principal(tenant_id=tenant_id, scopes=frozenset(), key_id=ApiKeyId(str(worker)))
        async with open_parts(settings_for(home, database_url, redis_url=redis_url)) as parts:
            for turn in range(upserts):
                text = "\n\n".join(f"Part {part} by {worker} in turn {turn}." for part in range(1 + turn % 4))
                body = {
                    "source_type": "text",
                    "source": text,
                    "external_id": f"d{(turn + worker) % DOCUMENTS}",
                    "chunking_strategy": "fixed",
                    "chunk_tokens": 40,
                    "overlap_tokens": 0,
                }
                await parts.documents.accept(owner, IngestText.model_validate(body))
        return upserts

    return asyncio.run(post())


async def newest(database: Database, poster: Poster, tenant_id: TenantId) -> Truth:
    truth = Truth()
    async with database.reading() as session:
        rows = await session.execute(
            select(DocumentRow.id, DocumentRevisionRow.blob_key).join(
                DocumentRevisionRow,
                (DocumentRevisionRow.document_id == DocumentRow.id)
                & (DocumentRevisionRow.revision == DocumentRow.revision),
            )
        )
        for document_id, key in rows:
            text = (await poster.blobs.get(tenant_id, BlobKey(key))).decode()
            truth.texts[tenant_id, DocumentId(document_id)] = text
    return truth


@pytest.mark.parametrize("upserts", [5, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("database_url", "redis_url"), [("sqlite", "embedded")], indirect=True)
async def test_upserts_of_many_processes_are_all_there(
    database_url: str, redis_url: str, upserts: int, tmp_path: Path
) -> None:
    """8 processes post the same five documents while two workers index them: no revision lost, no chunk doubled."""
    database = Database(database_url)
    poster = Poster(database, tmp_path / "blobs")
    tenant_id = await poster.tenant()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    async with workers(tmp_path, database_url, redis_url) as running:
        running.fill_up()
        with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
            loop = asyncio.get_running_loop()
            given = (tmp_path, database_url, redis_url, tenant_id)
            posting = (
                loop.run_in_executor(pool, upsert_again_and_again, *given, worker, upserts)
                for worker in range(PROCESSES)
            )
            assert sum(await asyncio.gather(*posting)) == PROCESSES * upserts

        async def all_closed() -> bool:
            return not await poster.open_jobs()

        await until(all_closed, 300, tmp_path / "workers.log")
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(DocumentRow)) == DOCUMENTS
        assert await session.scalar(select(func.sum(DocumentRow.revision))) == PROCESSES * upserts
    await assert_nothing_lost_nothing_doubled(
        database, tmp_path, [tenant_id], await newest(database, poster, tenant_id)
    )
    await database.dispose()
