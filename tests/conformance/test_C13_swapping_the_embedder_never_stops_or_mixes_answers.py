"""C13: ragflow #11570, dify #40961. There, another embedder destroys the index, or answers from the old vectors."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pipelines.embedding.hashed import HashEmbedder
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.test_generations import created, generation_of, promote
from tests.integration.server.test_query import DOCUMENTS, QUERY, ask, post

QUERIES_PER_SECOND = 50
FINE = {"strategy": "fixed", "chunk_tokens": 6, "overlap_tokens": 0}
EMBEDDERS = {"g1": HashEmbedder(), "g2": HashEmbedder(dimensions=128)}
WORDS = ["dome", "dusk", "pump", "noon", "kite", "wind", "lamp", "stair", "mirror", "meadow", "sea", "comet"]
QUESTIONS = [" ".join(pair) for pair in itertools.combinations(WORDS, 2)]

Answered = tuple[str, httpx.Response]


def text(number: int) -> str:
    return f"Note {number}: " + " ".join(WORDS[(number + step) % len(WORDS)] for step in range(9)) + " and so on."


@asynccontextmanager
async def load(client: httpx.AsyncClient) -> AsyncIterator[list[Answered]]:
    """Ask at a steady rate, however long an answer takes, for as long as the block lasts; the list has the answers."""
    answered: list[Answered] = []
    asking: set[asyncio.Task[None]] = set()

    async def one(question: str) -> None:
        body = {"query": question, "limit": 20, "explain": True}
        answered.append((question, await client.post(QUERY, json=body)))

    async def steadily() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, question in enumerate(itertools.cycle(QUESTIONS)):
            await asyncio.sleep(max(0.0, began + number / QUERIES_PER_SECOND - loop.time()))
            task = asyncio.create_task(one(question))
            asking.add(task)
            task.add_done_callback(asking.discard)

    steady = asyncio.create_task(steadily())
    try:
        yield answered
    finally:
        steady.cancel()
        await asyncio.gather(*asking)


def is_of_one_space(question: str, answer: dict[str, Any]) -> bool:
    """Whether every hit was cut and embedded by the generation that the answer names, and by no other."""
    embedder = EMBEDDERS[generation_of(answer)]
    asked = embedder.embed([question])[0]
    contents = [result["content"] for result in answer["results"]]
    cosines = embedder.embed(contents) @ asked if contents else np.empty(0)
    said = np.array([result["scores"]["vector"] for result in answer["results"]])
    longest = 6 if generation_of(answer) == "g2" else 40
    return bool(np.allclose(cosines, said, atol=1e-4)) and all(
        len(embedder.token_spans(content)) <= longest for content in contents
    )


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
            async with load(client) as answered:
                deleted = await swap_to_and_fro(api, client, rounds)
            failed = [response.text for _, response in answered if response.status_code != 200]
            assert failed == []
            answers = [(question, response.json()) for question, response in answered]
            mixed = [question for question, answer in answers if not is_of_one_space(question, answer)]
            assert mixed == []
            assert {generation_of(answer) for _, answer in answers} == {"g1", "g2"}
            assert all(answer["results"] for _, answer in answers)
            assert len(answers) >= QUERIES_PER_SECOND
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
