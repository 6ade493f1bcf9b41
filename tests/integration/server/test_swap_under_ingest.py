"""Documents come without a pause and the index is swapped all the same: at the first attempt, with nothing lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from pipelines.streams.ingest_lane import IngestLane
from stores.redis import Bell
from stores.sql.engine import Database
from tests.acceptance.system import free_ports
from tests.integration.server.running import Api, settings_for
from tests.integration.server.served import ServedApi, served
from tests.integration.server.swap_load import FINE, crowd, text
from tests.integration.server.test_generations import GENERATIONS, NoBell, created, promote, shown
from tests.integration.server.test_query import DOCUMENTS, post
from tests.integration.server.test_writers_of_generations import lease_is_free

POSTS_PER_SECOND = 8
PATIENCE_SECONDS = 90


@asynccontextmanager
async def lane_at_work(api: Api) -> AsyncIterator[None]:
    """Run the stream lane as a worker process does, with its follower, and a builder beside it."""
    tools, writer = api.lane()
    lane = IngestLane(
        tools=tools,
        writer=writer,
        letterbox=writer.letterbox,
        bell=cast(Bell, NoBell()),
        lease=timedelta(seconds=30),
        owner="test",
        poll_seconds=0.05,
        follower=api.builder().follower,
        follow_seconds=0.2,
    )
    stop = asyncio.Event()
    working = asyncio.create_task(lane.run(stop))
    try:
        yield
    finally:
        stop.set()
        await working


async def indexed_all(client: httpx.AsyncClient, posted: list[str]) -> None:
    """Wait until every one of these documents says that it is indexed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        for document_id in posted:
            while (view := (await client.get(f"{DOCUMENTS}/{document_id}")).json())["status"] != "indexed":
                assert view["status"] in ("pending", "processing"), view
                await asyncio.sleep(0.05)


async def in_step(client: httpx.AsyncClient, number: int) -> None:
    """Wait until the generation of this number lacks nothing."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            views = (await client.get(GENERATIONS)).json()["items"]
            [progress] = [view["progress"] for view in views if view["number"] == number]
            if progress["behind"] == 0:
                assert progress["failed"] == 0
                return
            await asyncio.sleep(0.1)


async def holds_each_once(api: Api, posted: list[str]) -> None:
    """Every table of the tenant holds every document, in one revision, and no chunk twice."""
    _, writer = api.lane()
    [tenant_id] = await writer.documents.tenants()
    for generation in await writer.indexes.generations.of(tenant_id):
        table = await writer.lance.open_table(tenant_id, generation.table_space, generation.dimensions)
        stored = [str(found.document_id) for found in await table.stored_documents()]
        assert sorted(stored) == sorted(posted), f"generation {generation.number}"
        chunk_ids = await table.chunk_ids()
        assert len(set(chunk_ids)) == len(chunk_ids)


async def swap(client: httpx.AsyncClient, candidate: dict[str, Any], rounds: int) -> None:
    """Promote and go back, each at the first attempt, with what was posted just now in the one that answers."""
    for number in range(rounds):
        answer = await promote(client, candidate)
        assert answer.status_code == 200, answer.text
        assert answer.json()["progress"]["behind"] == 0
        await asyncio.sleep(0.5)  # so that the crowd meets this one as well
        if number + 1 < rounds:
            back = await client.post(f"{GENERATIONS}/rollback", json={})
            assert (back.status_code, back.json()["number"]) == (200, 1)
            await asyncio.sleep(0.5)


@pytest.mark.parametrize(
    ("database_url", "rounds"),
    [
        ("sqlite", 3),
        ("postgresql", 3),
        pytest.param("sqlite", 25, marks=pytest.mark.slow),
        pytest.param("postgresql", 25, marks=pytest.mark.slow),
    ],
    indirect=["database_url"],
)
async def test_swaps_under_questions_and_ingest_of_two_processes(
    database_url: str, tmp_path: Path, rounds: int
) -> None:
    """50 questions a second and documents without a pause: none fails, is mixed, lost or doubled; no 409."""
    apis = [ServedApi(tmp_path, port, database_url) for port in free_ports(2)]
    database = Database(database_url)
    api = Api(settings=settings_for(tmp_path, database_url), url=apis[0].url, database=database)
    _, key = await api.tenant()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.dispose)
        await stack.enter_async_context(served(*apis))
        clients = [await stack.enter_async_context(each.client(key)) for each in apis]
        first = [(await post(clients[0], text(number)))["document_id"] for number in range(20)]
        await api.work()
        candidate = await created(clients[0], embedder="hashed-128", chunking=FINE)
        await api.build()
        assert (await shown(clients[0], candidate))["state"] == "ready"
        async with lane_at_work(api):
            async with crowd(clients, posts_per_second=POSTS_PER_SECOND) as found:
                await swap(clients[1], candidate, rounds)
            posted = [*first, *found.posted]
            await indexed_all(clients[0], posted)
            for number in (1, 2):
                await in_step(clients[0], number)
        assert found.failed() == []
        assert found.mixed() == []
        assert {"g1", "g2"} == set(found.generations())
        assert len(found.posted) >= rounds
        await holds_each_once(api, posted)


async def test_a_killed_promoter_leaves_the_old_index_and_the_writers_go_on(database_url: str, tmp_path: Path) -> None:
    """kill -9 while it holds the writers off: they go on when its lease ends, and the next promotion succeeds."""
    lease_seconds = 6
    doomed, other = (
        ServedApi(tmp_path, port, database_url, CODEXOS_JOB_LEASE_SECONDS=str(lease_seconds)) for port in free_ports(2)
    )
    database = Database(database_url)
    api = Api(settings=settings_for(tmp_path, database_url), url=doomed.url, database=database)
    _, key = await api.tenant()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.dispose)
        await stack.enter_async_context(served(doomed, other))
        dying, client = [await stack.enter_async_context(each.client(key)) for each in (doomed, other)]
        posted = [(await post(client, text(number)))["document_id"] for number in range(3)]
        await api.work()
        candidate = await created(client, embedder="hashed-128", chunking=FINE)
        await api.build()
        posted.append((await post(client, text(3)))["document_id"])
        await api.work()  # the candidate lacks this one, and nobody follows: the promoter waits
        promoting = asyncio.create_task(promote(dying, candidate))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await lease_is_free(api):
                await asyncio.sleep(0.01)
        doomed.kill()
        with pytest.raises(httpx.TransportError):
            await promoting
        assert not await lease_is_free(api), "nobody has given it back"
        posted.append((await post(client, text(4)))["document_id"])
        began = asyncio.get_running_loop().time()
        await api.work()
        assert asyncio.get_running_loop().time() - began < lease_seconds + PATIENCE_SECONDS
        await indexed_all(client, posted)
        assert (await shown(client, candidate))["state"] == "ready"
        await api.build()
        assert (await promote(client, candidate)).status_code == 200
        await holds_each_once(api, posted)
