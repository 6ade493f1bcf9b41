"""Who writes while another index takes over: nothing is noted of the old one, and nothing has to be posted again."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import httpx

from core.ids import JobId
from pipelines.index_writer import Outcome
from pipelines.ingest import chunk, embed, fetch, parse
from stores.generations import Generation
from stores.lance.schema import table_name
from stores.letterbox import Job, Letterbox
from stores.sql.models import Lane, LeaseRow
from tests.integration.server.running import Api
from tests.integration.server.test_generations import FINE, created, found_by, post_all, promote, shown
from tests.integration.server.test_query import DOCUMENTS, post


async def test_a_promotion_waits_for_the_last_documents(api: Api, client: httpx.AsyncClient) -> None:
    """What was indexed a moment ago is followed while the request waits: promoted with it, and not refused."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    await post(client, "The comet was seen at last.", external_id="comet")
    await api.work()
    assert (await shown(client, candidate))["progress"]["behind"] == 1
    promoting = asyncio.create_task(promote(client, candidate))
    while await lease_is_free(api) and not promoting.done():  # held by the request from now on
        await asyncio.sleep(0.01)
    await api.builder().follower.follow(await wanted_generation(api, 2))
    answer = await promoting
    assert (answer.status_code, answer.json()["progress"]["behind"]) == (200, 0), answer.text
    assert any("comet" in text for text in await found_by(client, "comet"))
    assert await lease_is_free(api)


async def test_a_refused_promotion_lets_the_writers_go_on(api: Api, client: httpx.AsyncClient) -> None:
    """The table's lease is given back with the refusal, and documents are indexed as before."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    await post(client, "The comet was seen at last.", external_id="comet")
    await api.work()
    assert (await promote(client, candidate)).status_code == 409
    assert await lease_is_free(api)


async def test_work_for_an_index_that_answers_no_more_is_done_again(api: Api, client: httpx.AsyncClient) -> None:
    """Cut for the old one when the pointer moved: put back at no attempt's cost, and indexed in the new one."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    await post(client, "The comet was seen at last.", external_id="comet")
    tools, writer = api.lane()
    jobs = await writer.letterbox.claim("test", Lane.STREAM, limit=1)
    works = await fetch(tools, jobs)
    for step in (parse, chunk, embed):
        works = await step(tools, works)
    assert (await promote(client, candidate)).status_code == 200
    assert await writer.commit(works) == Outcome(put_back=1)
    assert not any("comet" in text for text in await found_by(client, "comet"))
    [again] = await writer.letterbox.claim("test", Lane.STREAM, limit=1)
    assert (again.id, again.attempt) == (jobs[0].id, 1)
    await writer.letterbox.release(again)
    await api.work()
    assert any("comet" in text for text in await found_by(client, "comet"))


async def test_nothing_is_noted_of_an_index_that_was_replaced_while_it_was_written(
    api: Api, client: httpx.AsyncClient
) -> None:
    """The pointer moves although a lane holds the table, as by force: what it wrote counts for the next one or not."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    posted = await post(client, "The comet was seen at last.", external_id="comet")
    tools, writer = api.lane()
    jobs = await writer.letterbox.claim("test", Lane.STREAM, limit=1)
    works = await fetch(tools, jobs)
    for step in (parse, chunk, embed):
        works = await step(tools, works)

    async def by_force() -> None:
        moved = await promote(client, candidate, force=True, reason="a test of what is written meanwhile")
        assert moved.status_code == 200, moved.text

    interrupted = replace(writer, letterbox=cast(Letterbox, Interrupted(writer.letterbox, by_force)))
    assert await interrupted.commit(works) == Outcome(put_back=1)
    assert (await client.get(f"{DOCUMENTS}/{posted['document_id']}")).json()["status"] != "indexed"
    assert (await shown(client, candidate))["progress"]["behind"] == 0
    await api.work()
    assert (await client.get(f"{DOCUMENTS}/{posted['document_id']}")).json()["status"] == "indexed"
    assert any("comet" in text for text in await found_by(client, "comet"))


class Interrupted:
    """A letterbox; what is to happen does so when a lane, its lease in hand, asks whose its jobs are."""

    def __init__(self, letterbox: Letterbox, happens: Callable[[], Awaitable[None]]) -> None:
        self._letterbox = letterbox
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._letterbox, name)

    async def renew(self, jobs: Sequence[Job], progress: Mapping[JobId, Mapping[str, Any]]) -> list[Job]:
        await self._happens()
        return await self._letterbox.renew(jobs, progress)


async def wanted_generation(api: Api, number: int) -> Generation:
    _, writer = api.lane()
    [tenant_id] = await writer.documents.tenants()
    [found] = [each for each in await writer.indexes.generations.of(tenant_id) if each.number == number]
    return found


async def lease_is_free(api: Api) -> bool:
    """Whether nobody holds the table of the first generation."""
    first = await wanted_generation(api, 1)
    async with api.database.reading() as session:
        row = await session.get(LeaseRow, f"lance:{table_name(first.tenant_id, first.table_space)}")
    return row is None or row.owner is None
