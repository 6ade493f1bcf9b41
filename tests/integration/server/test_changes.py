"""Documents described anew: by merge patch, one revision a change, found again in answers without a new vector."""

import asyncio
from typing import Any

import httpx
import pytest

from core.clock import SystemClock
from core.ids import DocumentId
from stores.documents import Documents
from tests.integration.server.running import Api

DOCUMENTS = "/api/v1/rag/documents"


async def posted(client: httpx.AsyncClient, **options: Any) -> str:
    body = {"source_type": "text", "source": "The dome opens at dusk.", **options}
    answer = await client.post("/api/v1/rag/ingest", json=body)
    assert answer.status_code == 202, answer.text
    document_id: str = answer.json()["document_id"]
    return document_id


async def found(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.post("/api/v1/rag/query", json={"query": "dome dusk", **query})
    assert answer.status_code == 200, answer.text
    return [result["metadata"] for result in answer.json()["results"]]


async def test_metadata_is_merged_and_reaches_the_answers(api: Api, client: httpx.AsyncClient) -> None:
    """Names are set, removed by null and merged below; until the job is done the old ones answer, whole."""
    document_id = await posted(client, metadata={"team": "optics", "year": 2025, "site": {"hill": 1, "hut": 2}})
    await api.work()
    patch = {"team": "domes", "year": None, "site": {"hut": None, "road": 3}}
    answer = await client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": patch})
    assert (answer.status_code, answer.headers["etag"]) == (202, '"2"')
    changed = answer.json()
    assert changed["document"]["metadata"] == {"team": "domes", "site": {"hill": 1, "road": 3}}
    assert (changed["document"]["revision"], changed["document"]["indexed_revision"]) == (2, 1)
    [before] = await found(client)
    assert (before["team"], before["year"], before["revision"]) == ("optics", 2025, 1)

    await api.work()
    [after] = await found(client, filters={"team": "domes"})
    assert (after["site"], after["revision"], "year" in after) == ({"hill": 1, "road": 3}, 2, False)
    assert after["chunk_id"] == before["chunk_id"]
    assert await found(client, filters={"team": "optics"}) == []


async def test_a_change_embeds_nothing(api: Api, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its texts were embedded for the revision before: the vectors are those, looked up."""
    from pipelines.embedding.cache import MemoryVectorCache
    from pipelines.embedding.hashed import HashEmbedder
    from tests.integration.server import running

    kept = MemoryVectorCache()
    monkeypatch.setattr(running, "MemoryVectorCache", lambda: kept)
    document_id = await posted(client)
    await api.work()
    embedded: list[str] = []
    embed = HashEmbedder.embed
    monkeypatch.setattr(HashEmbedder, "embed", lambda self, texts: [embedded.extend(texts), embed(self, texts)][1])
    await client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {"a": 1}})
    assert await api.work() == 1
    assert embedded == []
    assert (await client.get(f"{DOCUMENTS}/{document_id}")).json()["indexed_revision"] == 2


async def test_a_document_moves_to_another_collection(api: Api, client: httpx.AsyncClient) -> None:
    """Queries of the one stop finding it and queries of the other begin to, with the same commit."""
    document_id = await posted(client, collection="old", external_id="dome")
    await api.work()
    await client.patch(f"{DOCUMENTS}/{document_id}", json={"collection": "new"})
    assert len(await found(client, collection="old")) == 1
    await api.work()
    assert (len(await found(client, collection="old")), len(await found(client, collection="new"))) == (0, 1)


async def test_a_revision_keeps_its_collection(api: Api, client: httpx.AsyncClient) -> None:
    """Where the revision that still answers is indexed anew before, or instead of, its move, it stays where it was."""
    document_id = DocumentId(await posted(client, collection="old"))
    await api.work()
    await client.patch(f"{DOCUMENTS}/{document_id}", json={"collection": "new"})
    kept = await Documents(api.database, SystemClock()).revisions_of([(document_id, 1), (document_id, 2)])
    assert [kept[document_id, revision].collection for revision in (1, 2)] == ["old", "new"]


async def test_names_are_taken_given_and_refused(client: httpx.AsyncClient) -> None:
    """A name another living document has is a conflict, and nothing is changed."""
    first, second = await posted(client, external_id="a"), await posted(client, external_id="b")
    taken = await client.patch(f"{DOCUMENTS}/{second}", json={"external_id": "a", "metadata": {"x": 1}})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "CONFLICT")
    shown = (await client.get(f"{DOCUMENTS}/{second}")).json()
    assert (shown["external_id"], shown["metadata"], shown["revision"]) == ("b", {}, 1)
    assert (await client.patch(f"{DOCUMENTS}/{first}", json={"external_id": None})).status_code == 202
    freed = await client.patch(f"{DOCUMENTS}/{second}", json={"external_id": "a"})
    assert freed.json()["document"]["external_id"] == "a"


async def test_what_changes_nothing_makes_no_revision(client: httpx.AsyncClient) -> None:
    """An empty patch, or one that says what is so already, is answered with 200 and no job."""
    document_id = await posted(client, metadata={"a": 1})
    for body in ({}, {"metadata": {"a": 1}}, {"metadata": {"b": None}}, {"collection": "default"}):
        answer = await client.patch(f"{DOCUMENTS}/{document_id}", json=body)
        assert (answer.status_code, answer.json()["job_id"]) == (200, None)
    assert (await client.get(f"{DOCUMENTS}/{document_id}")).headers["etag"] == '"1"'
    assert (await client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {"a": True}})).status_code == 202


async def test_updates_are_not_lost(client: httpx.AsyncClient) -> None:
    """Of two who change what they both read, one is told to read again."""
    document_id = await posted(client)
    tag = (await client.get(f"{DOCUMENTS}/{document_id}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {name: 1}}, headers={"if-match": tag})
            for name in "ab"
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202, 412]


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"_mine": 1}},
        {"metadata": {"a": "x" * 17_000}},
        {"collection": None},
        {"collection": "../x"},
        {"external_id": ""},
        {"source": "new text"},
    ],
)
async def test_what_cannot_be_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """With a pointer to it."""
    answer = await client.patch(f"{DOCUMENTS}/{await posted(client)}", json=body)
    assert answer.status_code == 400
    [violation] = answer.json()["error"]["details"]["violations"]
    assert violation["pointer"].startswith("/" + next(iter(body)))


async def test_merged_metadata_is_held_to_the_same_limits(client: httpx.AsyncClient) -> None:
    """Two halves that are each small enough can be too much together."""
    document_id = await posted(client, metadata={"a": "x" * 10_000})
    answer = await client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {"b": "x" * 10_000}})
    assert answer.status_code == 400
    assert [each["pointer"] for each in answer.json()["error"]["details"]["violations"]] == ["/metadata"]


async def test_waiting_for_a_change(api: Api, client: httpx.AsyncClient) -> None:
    """With Prefer: wait the answer is the document as it is when the index has it."""
    document_id = await posted(client)
    await api.work()
    waiting = asyncio.create_task(
        client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {"a": 1}}, headers={"prefer": "wait=30"})
    )
    while not await api.work():
        await asyncio.sleep(0)
    answer = await waiting
    assert (answer.status_code, answer.json()["document"]["indexed_revision"]) == (200, 2)


async def test_revisions_are_listed(api: Api, client: httpx.AsyncClient) -> None:
    """What each was made of, the newest first, and which one answers."""
    document_id = await posted(client, external_id="x", metadata={"v": 1}, chunking_strategy="fixed")
    await api.work()
    await posted(client, external_id="x", source="Another text.", metadata={"v": 2})
    await client.patch(f"{DOCUMENTS}/{document_id}", json={"metadata": {"v": 3}})
    listed = (await client.get(f"{DOCUMENTS}/{document_id}/revisions")).json()
    shown = [(each["revision"], each["is_indexed"], each["metadata"], each["size_bytes"]) for each in listed["items"]]
    assert shown == [(3, False, {"v": 3}, 13), (2, False, {"v": 2}, 13), (1, True, {"v": 1}, 23)]
    assert listed["items"][2]["chunking"]["strategy"] == "fixed"
    assert listed["items"][0]["content_sha256"] == listed["items"][1]["content_sha256"]
    page = (await client.get(f"{DOCUMENTS}/{document_id}/revisions", params={"skip": 1, "limit": 1})).json()
    assert ([each["revision"] for each in page["items"]], page["total"], page["has_more"]) == ([2], 3, True)


async def test_collections_are_counted(api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """Those with living documents in them, in order of their names, and nobody else's."""
    await posted(client, collection="b")
    await posted(client, collection="b", source="%broken%")
    deleted = await posted(client, collection="a")
    await posted(stranger, collection="theirs")
    await api.work()
    await posted(client, collection="c")
    await client.delete(f"{DOCUMENTS}/{deleted}")
    listed = (await client.get("/api/v1/rag/collections")).json()
    counts = [
        [each[name] for name in ("collection", "documents", "indexed", "failed", "chunks")] for each in listed["items"]
    ]
    assert counts == [["b", 2, 1, 1, 1], ["c", 1, 0, 0, 0]]
    page = (await client.get("/api/v1/rag/collections", params={"skip": 1, "limit": 1})).json()
    assert ([each["collection"] for each in page["items"]], page["total"], page["has_more"]) == (["c"], 2, False)
