"""Many documents in one request: posted, deleted and indexed anew, with a result for each."""

import json
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from stores.sql.models import JobRow, Lane, OutboxRow
from tests.integration.server.running import Api

RAG = "/api/v1/rag"


def text(source: str = "Some text.", **options: Any) -> dict[str, Any]:
    return {"source_type": "text", "source": source, **options}


async def batch(client: httpx.AsyncClient, items: list[Any], **headers: str) -> dict[str, Any]:
    answer = await client.post(f"{RAG}/ingest/batch", json={"items": items}, headers=headers)
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def selected(client: httpx.AsyncClient, act: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"{RAG}/documents/{act}", json=body)
    assert answer.status_code == 202, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def documents(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await client.get(f"{RAG}/documents", params={"limit": 100, **query})).json()["items"]
    return items


async def test_each_item_has_its_result(api: Api, client: httpx.AsyncClient) -> None:
    """Good ones are stored and indexed; a bad one says what is wrong with it and stops nobody."""
    items = [text("One."), text(" "), text("Three.", external_id="3", metadata={"n": 3}), {}, text(chunk_tokens=1)]
    done = await batch(client, items)
    assert [(item["index"], item["status"]) for item in done["items"]] == [
        (0, "queued"),
        (1, "refused"),
        (2, "queued"),
        (3, "refused"),
        (4, "refused"),
    ]
    assert (done["accepted"], done["refused"]) == (2, 3)
    faults = [[each["pointer"] for each in done["items"][index]["error"]["violations"]] for index in (1, 3, 4)]
    assert faults == [["/source"], ["/source_type", "/source"], ["/chunk_tokens"]]
    assert await api.work() == 2
    found = await documents(client)
    assert {item["document_id"] for item in found} == {done["items"][0]["document_id"], done["items"][2]["document_id"]}
    assert {item["status"] for item in found} == {"indexed"}
    assert [item["metadata"] for item in found if item["external_id"] == "3"] == [{"n": 3}]


async def test_items_of_one_name_are_revisions_in_order(api: Api, client: httpx.AsyncClient) -> None:
    """Of a document that is there already, and of one that the batch itself makes."""
    before = (await batch(client, [text("Old.", external_id="a")]))["items"][0]
    done = (
        await batch(client, [text("A2", external_id="a"), text("B1", external_id="b"), text("A3", external_id="a")])
    )["items"]
    assert [(item["document_id"] == before["document_id"], item["revision"]) for item in done] == [
        (True, 2),
        (False, 1),
        (True, 3),
    ]
    await api.work()
    chunks = (await client.get(f"{RAG}/documents/{before['document_id']}/chunks")).json()
    assert [chunk["content"] for chunk in chunks["items"]] == ["A3"]
    sizes = (await client.get(f"{RAG}/documents/{before['document_id']}/revisions")).json()["items"]
    assert [item["size_bytes"] for item in sizes] == [2, 2, 4]


async def test_lines_do_as_well(client: httpx.AsyncClient) -> None:
    """NDJSON; a line that is no JSON is refused by itself, a blank one is none."""
    lines = [json.dumps(text("One.")), "", '{"source_type": "text",', "3", json.dumps(text("Two."))]
    answer = await client.post(
        f"{RAG}/ingest/batch", content="\n".join(lines), headers={"content-type": "application/x-ndjson"}
    )
    assert answer.status_code == 202, answer.text
    assert [item["status"] for item in answer.json()["items"]] == ["queued", "refused", "refused", "queued"]


@pytest.mark.parametrize("items", [[], [text()] * 1_001])
async def test_too_few_or_too_many_are_refused(client: httpx.AsyncClient, items: list[Any]) -> None:
    """A batch has 1 to 1,000 items."""
    answer = await client.post(f"{RAG}/ingest/batch", json={"items": items})
    assert (answer.status_code, answer.json()["error"]["details"]["violations"][0]["pointer"]) == (400, "/items")


async def test_a_batch_has_one_key(client: httpx.AsyncClient) -> None:
    """A retry gets the same results and posts nothing again."""
    items = [text(f"Number {number}") for number in range(5)]
    first = await batch(client, items, **{"idempotency-key": "batch-1"})
    assert await batch(client, items, **{"idempotency-key": "batch-1"}) == first
    assert len(await documents(client)) == 5


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_thousand_take_about_a_second(client: httpx.AsyncClient) -> None:
    """Generously: 2 s on a machine of its own, more where others are at work."""
    items = [text(f"Number {number}.", external_id=f"n{number}") for number in range(1_000)]
    began = time.perf_counter()
    done = await batch(client, items)
    assert time.perf_counter() - began < 15
    assert done["accepted"] == 1_000


async def test_deleting_by_filter(api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """All that it finds and nothing else, call by call; the dry run only says which."""
    await batch(client, [text(f"n {number}", collection="old" if number < 5 else "new") for number in range(7)])
    await batch(stranger, [text("theirs", collection="old")])
    await api.work()
    dry = await selected(client, "delete", filter={"collection": "old"}, dry_run=True)
    assert (dry["matched"], dry["changed"], {item["status"] for item in dry["items"]}) == (5, 0, {"matched"})
    first = await selected(client, "delete", filter={"collection": "old"}, limit=3)
    assert (first["matched"], first["changed"], len(first["items"])) == (5, 3, 3)
    rest = await selected(client, "delete", filter={"collection": "old"}, limit=3, after=first["next_after"])
    assert (rest["changed"], rest["next_after"]) == (2, None)
    assert [item["document_id"] for item in [*first["items"], *rest["items"]]] == [
        item["document_id"] for item in dry["items"]
    ]
    assert {item["collection"] for item in await documents(client)} == {"new"}
    assert await api.work() == 5
    assert (await client.post(f"{RAG}/query", json={"query": "n", "collection": "old"})).json()["results"] == []
    assert len(await documents(stranger)) == 1
    async with api.database.reading() as session:
        events = [event.type for event in await session.scalars(select(OutboxRow))]
    assert events.count("rag.document.deleted") == 5


async def test_deleting_by_id(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """Each id has its result; what is nobody's, somebody else's or gone is not found, and jobs not begun are off."""
    mine = (await batch(client, [text()]))["items"][0]
    theirs = (await batch(stranger, [text()]))["items"][0]
    asked = ["no id", theirs["document_id"], mine["document_id"], mine["document_id"]]
    done = await selected(client, "delete", document_ids=asked)
    assert [(item["document_id"], item["status"]) for item in done["items"]] == [
        (mine["document_id"], "deleted"),
        ("no id", "not_found"),
        (theirs["document_id"], "not_found"),
    ]
    assert (await client.get(f"{RAG}/jobs/{mine['job_id']}")).json()["status"] == "cancelled"
    assert (await selected(client, "delete", document_ids=[mine["document_id"]]))["changed"] == 0


async def test_reprocessing_by_filter(api: Api, client: httpx.AsyncClient) -> None:
    """Whatever has ended is queued in the batch lane; what is under way is left to that."""
    await batch(client, [text("Fine."), text("%broken%")])
    await api.work()
    waiting = (await batch(client, [text("Waiting.")]))["items"][0]["document_id"]
    done = await selected(client, "reprocess", filter={"collection": "default"})
    assert {item["document_id"]: item["status"] for item in done["items"]}[waiting] == "unchanged"
    assert (done["matched"], done["changed"]) == (3, 2)
    async with api.database.reading() as session:
        lanes = [job.lane for job in await session.scalars(select(JobRow).where(JobRow.status == "queued"))]
    assert sorted(lanes) == [Lane.BATCH, Lane.BATCH, Lane.STREAM]
    only = await selected(client, "reprocess", filter={"status": "failed"})
    assert only["matched"] == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/filter"),
        ({"filter": {}}, "/filter"),
        ({"filter": {"collection": "a"}, "document_ids": ["x"]}, "/filter"),
        ({"document_ids": []}, "/document_ids"),
        ({"filter": {"colour": "red"}}, "/filter/colour"),
        ({"filter": {"collection": "a"}, "limit": 1_001}, "/limit"),
    ],
)
async def test_everything_has_to_be_meant(client: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    """Nothing named, or an empty filter, deletes nothing."""
    answer = await client.post(f"{RAG}/documents/delete", json=body)
    assert answer.status_code == 400
    assert pointer in [each["pointer"] for each in answer.json()["error"]["details"]["violations"]]
