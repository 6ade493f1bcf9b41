"""Documents come, are revised, waited for, listed, reprocessed and deleted."""

import asyncio
import json
from typing import Any

import httpx
from sqlalchemy import select

from core.ids import is_uuid
from stores.sql.models import DocumentRevisionRow, OutboxRow
from tests.integration.server.running import Api

DOCUMENTS = "/api/v1/rag/documents"
INGEST = "/api/v1/rag/ingest"
JOBS = "/api/v1/rag/jobs"


async def post(client: httpx.AsyncClient, source: str = "Some text.", **options: Any) -> dict[str, Any]:
    answer = await client.post(INGEST, json={"source_type": "text", "source": source, **options})
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def listed(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(DOCUMENTS, params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_accepted_text_is_listed_at_once(client: httpx.AsyncClient) -> None:
    """The 202 has the four fields of the specification, and the document shows its status right away."""
    accepted = await post(client, metadata={"a": [1, {"b": None}]}, collection="notes", external_id="n/1")
    assert accepted.keys() == {"document_id", "revision", "job_id", "status"}
    assert is_uuid(accepted["document_id"])
    assert (accepted["revision"], accepted["status"]) == (1, "queued")
    [document] = (await listed(client))["items"]
    assert document == (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    shown = {name: document[name] for name in ("collection", "external_id", "metadata", "source", "source_type")}
    assert shown == {
        "collection": "notes",
        "external_id": "n/1",
        "metadata": {"a": [1, {"b": None}]},
        "source": "n/1",
        "source_type": "text",
    }


async def test_file_comes_as_a_form(api: Api, client: httpx.AsyncClient) -> None:
    """Bytes, metadata and numbers arrive as they were sent; the job remembers how to cut."""
    form = {
        "source_type": "file",
        "metadata": json.dumps({"team": "optics"}),
        "chunking_strategy": "fixed",
        "chunk_tokens": "50",
        "overlap_tokens": "5",
    }
    content = b"\x00\xff\r\n--not a boundary\r\n"
    answer = await client.post(INGEST, data=form, files={"file": ("../secret/Bericht ü.pdf", content)})
    assert answer.status_code == 202, answer.text
    document = (await client.get(f"{DOCUMENTS}/{answer.json()['document_id']}")).json()
    assert (document["source"], document["source_type"]) == ("secret/Bericht ü.pdf", "file")
    assert document["metadata"] == {"team": "optics"}
    async with api.database.reading() as session:
        [revision] = await session.scalars(select(DocumentRevisionRow))
    assert revision.chunking == {"strategy": "fixed", "chunk_tokens": 50, "overlap_tokens": 5}
    assert revision.size_bytes == len(content)
    stored = api.settings.blob_path / revision.tenant_id / revision.blob_key[:2] / revision.blob_key
    assert stored.read_bytes() == content


async def test_text_may_come_as_a_form_too(client: httpx.AsyncClient) -> None:
    """A part without a filename is a text."""
    form = {"source_type": (None, "text"), "source": (None, "Just words."), "external_id": (None, "w")}
    answer = await client.post(INGEST, files=form)
    assert answer.status_code == 202, answer.text
    [document] = (await listed(client))["items"]
    assert (document["source"], document["source_type"]) == ("w", "text")


async def test_waiting_for_the_outcome(api: Api, client: httpx.AsyncClient) -> None:
    """With Prefer: wait the answer is 200 with the final state, as soon as there is one."""

    async def posted(source: str, wait: str) -> httpx.Response:
        return await client.post(INGEST, json={"source_type": "text", "source": source}, headers={"prefer": wait})

    for source, status, code in (("Fine.", "indexed", None), ("%broken%", "failed", "DOCUMENT_UNREADABLE")):
        answering = asyncio.create_task(posted(source, "respond-async, wait=30"))
        while not await api.work():
            await asyncio.sleep(0)
        answer = await answering
        assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=30")
        assert answer.json()["status"] == status
        assert (answer.json()["error"] or {}).get("code") == code
    late = await posted("Nobody works on this.", "wait=0")
    assert (late.status_code, late.json()["status"]) == (202, "queued")
    ignored = await posted("Malformed preferences are ignored.", "wait=soon")
    assert (ignored.status_code, "preference-applied" in ignored.headers) == (202, False)


async def test_job_tells_how_far_it_is(api: Api, client: httpx.AsyncClient) -> None:
    """Queued, then succeeded with its counts; or failed with a code and a sentence."""
    good, bad = await post(client, "Fine."), await post(client, "%broken%")
    waiting = (await client.get(f"{JOBS}/{good['job_id']}")).json()
    assert (waiting["status"], waiting["attempt"], waiting["started_at"]) == ("queued", 0, None)
    await api.work()
    done = (await client.get(f"{JOBS}/{good['job_id']}")).json()
    assert (done["status"], done["document_id"], done["kind"]) == ("succeeded", good["document_id"], "rag.ingest")
    assert done["progress"]["chunks"] == 1
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    failed = (await client.get(f"{JOBS}/{bad['job_id']}")).json()
    assert failed["error"] == {
        "code": "DOCUMENT_UNREADABLE",
        "message": "The file is damaged. Save it again and post it anew.",
    }


async def test_posting_at_once_counts_revisions_without_gap(client: httpx.AsyncClient) -> None:
    """Twenty simultaneous posts under one external id are one document with revisions 1 to 20."""
    accepted = await asyncio.gather(*(post(client, f"Version {number}", external_id="same") for number in range(20)))
    assert len({answer["document_id"] for answer in accepted}) == 1
    assert sorted(answer["revision"] for answer in accepted) == list(range(1, 21))


async def test_external_ids_are_per_collection_and_tenant(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """The same name elsewhere is another document."""
    answers = [
        await post(client, external_id="x"),
        await post(client, external_id="x", collection="other"),
        await post(stranger, external_id="x"),
    ]
    assert len({answer["document_id"] for answer in answers}) == 3
    assert {answer["revision"] for answer in answers} == {1}


async def test_a_deleted_document_is_not_revived(api: Api, client: httpx.AsyncClient) -> None:
    """Its external id is free for a new document; the old one is listed as deleted and found nowhere else."""
    first = await post(client, external_id="x")
    deleted = await client.delete(f"{DOCUMENTS}/{first['document_id']}")
    assert deleted.json().keys() == {"document_id", "job_id", "status"}
    assert deleted.json()["status"] == "deleted"
    second = await post(client, external_id="x")
    assert (second["document_id"] != first["document_id"], second["revision"]) == (True, 1)
    for answer in (
        await client.get(f"{DOCUMENTS}/{first['document_id']}"),
        await client.delete(f"{DOCUMENTS}/{first['document_id']}"),
        await client.post(f"{DOCUMENTS}/{first['document_id']}/reprocess"),
        await client.get(f"{DOCUMENTS}/{first['document_id']}/chunks"),
    ):
        assert answer.status_code == 404
    assert [item["document_id"] for item in (await listed(client))["items"]] == [second["document_id"]]
    assert [item["document_id"] for item in (await listed(client, status="deleted"))["items"]] == [first["document_id"]]
    job = (await client.get(f"{JOBS}/{first['job_id']}")).json()
    assert job["status"] == "cancelled"
    async with api.database.reading() as session:
        [event] = await session.scalars(select(OutboxRow))
    assert (event.type, event.payload["document_id"]) == ("rag.document.deleted", first["document_id"])


async def test_list_is_paged_and_filtered(client: httpx.AsyncClient) -> None:
    """Newest first; search is literal text, its wildcards are letters."""
    for name in ("50%_off", "50 percent off", "Ordinary"):
        await post(client, external_id=name, collection="sale" if "off" in name else "plain")
    assert [item["external_id"] for item in (await listed(client))["items"]] == [
        "Ordinary",
        "50 percent off",
        "50%_off",
    ]
    page = await listed(client, skip=1, limit=1)
    assert {key: page[key] for key in ("total", "skip", "limit", "has_more")} == {
        "total": 3,
        "skip": 1,
        "limit": 1,
        "has_more": True,
    }
    assert (await listed(client, skip=2, limit=1))["has_more"] is False
    assert (await listed(client, collection="sale"))["total"] == 2
    assert (await listed(client, status="queued"))["total"] == 3
    assert (await listed(client, source_type="file"))["total"] == 0
    assert [item["external_id"] for item in (await listed(client, search="%_"))["items"]] == ["50%_off"]
    assert (await listed(client, search="ordinary"))["total"] == 1
    assert (await listed(client, search="\\"))["total"] == 0


async def test_reprocessing_makes_a_new_job_for_the_same_revision(api: Api, client: httpx.AsyncClient) -> None:
    """Legal when indexed or failed, refused while a job is under way."""
    good, bad = await post(client, "Fine."), await post(client, "%broken%")
    early = await client.post(f"{DOCUMENTS}/{good['document_id']}/reprocess")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "CONFLICT")
    await api.work()
    for accepted in (good, bad):
        again = await client.post(f"{DOCUMENTS}/{accepted['document_id']}/reprocess")
        assert (again.status_code, again.json()["revision"]) == (202, 1)
        assert again.json()["job_id"] != accepted["job_id"]
    assert await api.work() == 2
    statuses = [item["status"] for item in (await listed(client))["items"]]
    assert statuses == ["failed", "indexed"]
