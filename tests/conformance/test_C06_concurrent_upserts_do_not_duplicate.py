"""C06: many processes upserting the same ids leave each id once (lancedb #3377, lance #4585, #8949)."""

import asyncio
import concurrent.futures
import multiprocessing
from datetime import timedelta
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.ids import DocumentId
from stores.lance import LanceStore
from stores.leases import Leases
from stores.sql.engine import Database
from tests.factories.chunks import EMBEDDER, TENANT, cut, put

PROCESSES = 8
DOCUMENTS = 5
CHUNKS = 4


def upsert_again_and_again(folder: Path, database_url: str, worker: int, upserts: int) -> int:
    """Write a document `upserts` times over, its revision the turn; return how many rows this worker changed."""

    async def work() -> int:
        database = Database(database_url)
        leases = Leases(database, SystemClock(), timedelta(minutes=5))
        table = await LanceStore(folder / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
        changed = 0
        for turn in range(1, upserts + 1):
            document = cut(
                f"d{(turn + worker) % DOCUMENTS}",
                [f"part {part}" for part in range(CHUNKS)] + [f"worker {worker}"],
                revision=turn,
            )
            async with leases.hold("lance:table", f"worker {worker}, turn {turn}"):
                report = await put(table, document)
                if turn % 6 == worker % 6:
                    await table.optimize(timedelta(days=1))
            changed += report.inserted + report.updated
        await database.dispose()
        return changed

    return asyncio.run(work())


@pytest.mark.parametrize("upserts", [6, pytest.param(200, marks=pytest.mark.slow)])
async def test_C06_concurrent_upserts_do_not_duplicate(tmp_path: Path, database_url: str, upserts: int) -> None:
    """8 processes write five documents under the lease, compacting in between: no id twice, no last update lost."""
    # Forked from a server that has imported everything: LanceDB takes seconds to import, eight times over.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "tests.factories.chunks"])
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        changed = list(
            pool.map(
                upsert_again_and_again,
                *([tmp_path] * PROCESSES, [database_url] * PROCESSES, range(PROCESSES), [upserts] * PROCESSES),
            )
        )

    assert sum(changed) >= DOCUMENTS * (CHUNKS + 1)
    table = await LanceStore(tmp_path / "lance").open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
    ids = await table.chunk_ids()
    assert len(ids) == len(set(ids)) == DOCUMENTS * (CHUNKS + 1)
    for number in range(DOCUMENTS):
        latest = max(
            turn for turn in range(1, upserts + 1) for w in range(PROCESSES) if (turn + w) % DOCUMENTS == number
        )
        chunks = await table.document_chunks(DocumentId(f"d{number}"), skip=0, limit=100)
        assert set(chunks["revision"].to_pylist()) == {latest}
        assert chunks["text"].to_pylist()[:CHUNKS] == [f"part {part}" for part in range(CHUNKS)]
