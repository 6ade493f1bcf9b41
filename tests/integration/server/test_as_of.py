"""A question can be asked of the index as it was, and gets the answer that it got; what was deleted stays deleted."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.integration.server.running import Api
from tests.integration.server.test_generations import FINE, GENERATIONS, created, promote
from tests.integration.server.test_query import DOCUMENTS, QUERY, ask, post

TAGS = "/api/v1/rag/index/tags"
# What there is of SQL in this is held to its word on both databases by tests/integration/stores/test_generations.py.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def replayed(client: httpx.AsyncClient, answer: dict[str, Any], query: str, **asked: Any) -> bool:
    again = await ask(client, query, as_of=answer["index_version"], **asked)
    assert again["index_version"] == answer["index_version"]
    same: bool = again["results"] == answer["results"]
    return same


async def test_every_version_is_replayed(api: Api, client: httpx.AsyncClient) -> None:
    """Posted and revised, through a promotion and after it: each answer comes back as it was, score for score."""
    answers = []
    for number in range(4):
        await post(
            client,
            f"Note {number} says that the lamp is {'lit' if number % 2 else 'out'}.",
            external_id=f"{number % 3}",
        )
        await api.work()
        answers.append(await ask(client, "lamp lit", limit=50, explain=True))
    candidate = await created(client, embedder="hashed-64", chunking=FINE)
    await api.build()
    await promote(client, candidate)
    await post(client, "The last lamp.", external_id="last")
    await api.work()
    answers.append(await ask(client, "lamp lit", limit=50, explain=True))
    assert len({answer["index_version"] for answer in answers}) == 5
    assert [len(answer["results"]) for answer in answers[:4]] == [1, 2, 3, 3]
    for answer in answers:
        assert await replayed(client, answer, "lamp lit", limit=50, explain=True)


async def test_deleted_documents_do_not_come_back(api: Api, client: httpx.AsyncClient) -> None:
    """The rest of the old answer does."""
    gone = await post(client, "Copper melts at 1085 degrees.")
    kept = await post(client, "Copper conducts.")
    await api.work()
    before = await ask(client, "copper")
    await client.delete(f"{DOCUMENTS}/{gone['document_id']}")
    for _ in range(2):
        again = await ask(client, "copper", as_of=before["index_version"])
        assert [result["metadata"]["document_id"] for result in again["results"]] == [kept["document_id"]]
        await api.work()


async def test_asked_by_time(api: Api, client: httpx.AsyncClient) -> None:
    """A moment stands for the index that answered then; one before all versions stands for none."""
    await post(client, "The first lamp.")
    await api.work()
    before = await ask(client, "lamp")
    moment = datetime.now(UTC)
    await post(client, "The second lamp.")
    await api.work()
    answer = await ask(client, "lamp", as_of=moment.isoformat())
    assert answer["results"] == before["results"]
    assert len((await ask(client, "lamp", as_of=datetime.now(UTC).isoformat()))["results"]) == 2
    early = await client.post(QUERY, json={"query": "lamp", "as_of": (moment - timedelta(days=9)).isoformat()})
    assert (early.status_code, early.json()["error"]["code"]) == (410, "RESOURCE_NOT_FOUND")


async def test_a_tagged_version_outlives_the_clean_up(api: Api, client: httpx.AsyncClient) -> None:
    """Another one of its age does not, once the tag is gone."""
    await post(client, "The first lamp.")
    await api.work()
    before = await ask(client, "lamp")
    made = await client.post(TAGS, json={"name": "audit-2026"})
    assert (made.status_code, made.json()["index_version"]) == (201, before["index_version"])
    assert (await client.post(TAGS, json={"name": "audit-2026"})).status_code == 409
    for number in range(3):
        await post(client, f"Lamp {number}.")
        await api.work()
    old = await client.post(TAGS, json={"name": "old", "index_version": before["index_version"]})
    assert old.status_code == 201, old.text
    assert [tag["name"] for tag in (await client.get(TAGS)).json()["items"]] == ["audit-2026", "old"]
    [table] = await tables(api)
    await table.optimize(timedelta(microseconds=1))
    assert (await ask(client, "lamp", as_of="audit-2026"))["results"] == before["results"]
    assert await replayed(client, before, "lamp")
    for name in ("audit-2026", "old"):
        assert (await client.delete(f"{TAGS}/{name}")).status_code == 200
    await table.optimize(timedelta(microseconds=1))
    gone = await client.post(QUERY, json={"query": "lamp", "as_of": before["index_version"]})
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "RESOURCE_NOT_FOUND")
    assert (await client.post(QUERY, json={"query": "lamp", "as_of": "audit-2026"})).status_code == 404


async def test_what_answered_a_moment_ago_outlives_the_clean_up(api: Api, client: httpx.AsyncClient) -> None:
    """However old its last commit is: what counts is when another version took its place."""
    retain = timedelta(seconds=3)
    await post(client, "The first lamp.")
    await api.work()
    before = await ask(client, "lamp")
    [table] = await tables(api)
    committed_at = (await table.versions())[-1].committed_at
    while datetime.now(UTC) - committed_at < retain:
        await asyncio.sleep(0.1)
    moment = datetime.now(UTC)
    await post(client, "The second lamp.")
    await api.work()
    await table.optimize(retain)
    assert await replayed(client, before, "lamp")
    assert (await ask(client, "lamp", as_of=moment.isoformat()))["results"] == before["results"]


async def tables(api: Api) -> list[Any]:
    _, writer = api.lane()
    found = []
    for tenant_id in await writer.documents.tenants():
        for generation in await writer.indexes.generations.of(tenant_id):
            found.append(await writer.lance.open_table(tenant_id, generation.table_space, generation.dimensions))
    return found


async def test_what_never_was_is_not_found(api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """A later version, another generation, another tenant's tag, or nothing of the kind."""
    for as_of, status in (("g1.v1", 404), ("yesterday", 404), ("2026-01-01T00:00:00Z", 404)):
        assert (await client.post(QUERY, json={"query": "lamp", "as_of": as_of})).status_code == status
    await post(client, "The first lamp.")
    await api.work()
    await client.post(TAGS, json={"name": "mine"})
    for as_of, status in (("g1.v999999999999999", 410), ("g1.v0", 410), ("g2.v1", 404)):
        assert (await client.post(QUERY, json={"query": "lamp", "as_of": as_of})).status_code == status
    assert (await stranger.post(QUERY, json={"query": "lamp", "as_of": "mine"})).status_code == 404


async def test_a_tag_keeps_its_generation(api: Api, client: httpx.AsyncClient) -> None:
    """A generation is not deleted under its tags; without them it is, and its versions are gone."""
    await post(client, "The first lamp.")
    await api.work()
    before = await ask(client, "lamp")
    await client.post(TAGS, json={"name": "keep"})
    candidate = await created(client, chunking=FINE)
    await api.build()
    await promote(client, candidate)
    [first] = [view for view in (await client.get(GENERATIONS)).json()["items"] if view["number"] == 1]
    refused = await client.delete(f"{GENERATIONS}/{first['generation_id']}")
    assert (refused.status_code, refused.json()["error"]["details"]["tags"]) == (409, ["keep"])
    await client.delete(f"{TAGS}/keep")
    assert (await client.delete(f"{GENERATIONS}/{first['generation_id']}")).status_code == 200
    gone = await client.post(QUERY, json={"query": "lamp", "as_of": before["index_version"]})
    assert gone.status_code == 410
