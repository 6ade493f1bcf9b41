"""C13: ragflow #11570, dify #40961. There, another embedder destroys the index, or answers from the old vectors."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.swap_load import EMBEDDERS, FINE, QUERIES_PER_SECOND, crowd, text
from tests.integration.server.test_generations import created, promote
from tests.integration.server.test_query import DOCUMENTS, ask, post


async def work_until(done: asyncio.Event, work: Callable[[], Awaitable[int]]) -> None:
    """Work as a worker or builder process does, beside everything else."""
    while not done.is_set():
        await work()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("database_url", "rounds"),
    [
        ("sqlite", 1),
        pytest.param("postgresql", 1, marks=pytest.mark.slow),
        pytest.param("sqlite", 15, marks=pytest.mark.slow),
        pytest.param("postgresql", 15, marks=pytest.mark.slow),
    ],
    indirect=["database_url"],
)
async def test_C13_swapping_the_embedder_never_stops_or_mixes_answers(
    database_url: str, tmp_path: Path, rounds: int
) -> None:
    """Chunker and embedder swapped at 50 questions a second: none fails, and each is answered from one space."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            for number in range(40):
                await post(client, text(number), external_id=str(number))
            await api.work()
            async with crowd([client]) as found:
                deleted = await swap_to_and_fro(api, client, rounds)
            assert found.failed() == []
            assert found.mixed() == []
            assert set(found.generations()) == {"g1", "g2"}
            assert all(answer["results"] for _, answer in found.answers())
            assert len(found.answered) >= QUERIES_PER_SECOND
            await only_new_vectors(api, deleted)


async def swap_to_and_fro(api: Api, client: httpx.AsyncClient, rounds: int) -> str:
    """Build and promote, roll back and promote again, while documents come, change and go; return a deleted one."""
    candidate = await created(client, embedder="hashed-128", chunking=FINE)
    gone = ""
    done = asyncio.Event()
    working = [asyncio.create_task(work_until(done, work)) for work in (api.work, api.build)]
    try:
        for number in range(rounds):
            await post(client, text(100 + number), external_id=f"new-{number}")
            await post(client, text(200 + number), external_id="0")
            gone = (await post(client, text(300 + number)))["document_id"]
            await client.delete(f"{DOCUMENTS}/{gone}")
            await promoted(client, candidate)
            back = await client.post("/api/v1/rag/generations/rollback", json={})
            assert (back.status_code, back.json()["number"]) == (200, 1)
            await promoted(client, candidate)
            await asyncio.sleep(0.5)  # so that the load meets this one as well
            if number + 1 < rounds:
                await client.post("/api/v1/rag/generations/rollback", json={})
    finally:
        done.set()
        await asyncio.gather(*working)
    await api.work()
    await api.build()
    return gone


async def promoted(client: httpx.AsyncClient, candidate: dict[str, Any]) -> None:
    async with asyncio.timeout(60):
        while (answer := await promote(client, candidate)).status_code != 200:
            assert answer.status_code == 409, answer.text
            await asyncio.sleep(0.05)


async def only_new_vectors(api: Api, deleted: str) -> None:
    """The promoted table holds every living document, in vectors of the new embedder and of no other."""
    _, writer = api.lane()
    [tenant_id] = await writer.documents.tenants()
    active = await writer.indexes.generations.active(tenant_id)
    assert active is not None
    table = await writer.lance.open_table(tenant_id, active.table_space, active.dimensions)
    rows = (await table.search_vector(EMBEDDERS["g2"].embed(["dome"])[0], 10_000)).num_rows
    assert (active.dimensions, rows) == (128, await table.count())
    living = await writer.indexes.generations.current(active)
    assert {found.document_id for found in await table.stored_documents()} == set(living)
    assert deleted not in living


async def test_C13_a_change_of_settings_leaves_the_index_what_it_was(database_url: str, tmp_path: Path) -> None:
    """Another embedder in the settings is for generations to come: old and new documents are found as before."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            await post(client, text(1))
            await api.work()
            before = await ask(client, "dome dusk")
    async with running(settings_for(tmp_path, database_url, embedder="hashed-64")) as api, api.client(key) as client:
        again = await ask(client, "dome dusk")
        assert (again["results"], again["index_version"]) == (before["results"], before["index_version"])
        await post(client, text(2))
        await api.work()
        assert len((await ask(client, "dome dusk"))["results"]) == 2
        [view] = (await client.get("/api/v1/rag/generations")).json()["items"]
        assert (view["embedder"], view["dimensions"], view["state"]) == ("hashed", 384, "active")
        made = await created(client)
        assert made["embedder"] == "hashed"
