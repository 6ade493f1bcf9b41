"""Jobs are listed, and called off while nobody has begun them."""

from typing import Any

import httpx
from sqlalchemy import select

from stores.sql.models import OutboxRow
from tests.integration.server.running import Api

DOCUMENTS, JOBS = "/api/v1/rag/documents", "/api/v1/rag/jobs"


async def posted(client: httpx.AsyncClient, source: str = "Some text.", **options: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/rag/ingest", json={"source_type": "text", "source": source, **options})
    accepted: dict[str, Any] = answer.json()
    return accepted


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(JOBS, params=query)
    assert answer.status_code == 200, answer.text
    return [item["job_id"] for item in answer.json()["items"]]


async def test_jobs_are_listed_and_filtered(api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    """Newest first, by status, kind and document, in pages, and nobody else's."""
    good, bad = await posted(client), await posted(client, "%broken%")
    await posted(stranger)
    await api.work()
    waiting = await posted(client)
    gone = (await client.delete(f"{DOCUMENTS}/{good['document_id']}")).json()
    everything = [gone["job_id"], waiting["job_id"], bad["job_id"], good["job_id"]]
    assert await listed(client) == everything
    assert await listed(client, status="queued") == everything[:2]
    assert await listed(client, status="failed") == [bad["job_id"]]
    assert await listed(client, kind="rag.delete") == [gone["job_id"]]
    assert await listed(client, document_id=good["document_id"]) == [gone["job_id"], good["job_id"]]
    first = (await client.get(JOBS, params={"limit": 3})).json()
    rest = (await client.get(JOBS, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [item["job_id"] for item in first["items"] + rest["items"]] == everything


async def test_a_queued_job_is_called_off(api: Api, client: httpx.AsyncClient) -> None:
    """Its document has failed, says why, and can be reprocessed; nobody works on it meanwhile."""
    accepted = await posted(client)
    cancelled = await client.post(f"{JOBS}/{accepted['job_id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert await api.work() == 0
    document = (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    assert (document["status"], document["error"]["code"]) == ("failed", "JOB_CANCELLED")
    async with api.database.reading() as session:
        [event] = await session.scalars(select(OutboxRow))
    assert (event.type, event.payload["job_id"]) == ("rag.document.failed", accepted["job_id"])
    again = await client.post(f"{DOCUMENTS}/{accepted['document_id']}/reprocess")
    assert again.status_code == 202
    assert await api.work() == 1
    document = (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    assert (document["status"], document["error"]) == ("indexed", None)


async def test_an_indexed_document_stays_indexed(api: Api, client: httpx.AsyncClient) -> None:
    """Calling its reprocessing off takes nothing away."""
    accepted = await posted(client)
    await api.work()
    again = (await client.post(f"{DOCUMENTS}/{accepted['document_id']}/reprocess")).json()
    await client.post(f"{JOBS}/{again['job_id']}/cancel")
    document = (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    assert (document["status"], document["error"]) == ("indexed", None)


async def test_an_earlier_revision_goes_on_answering(api: Api, client: httpx.AsyncClient) -> None:
    """The revision that was called off has failed; the one before is still there."""
    accepted = await posted(client, external_id="x")
    await api.work()
    second = await posted(client, "Another text.", external_id="x")
    await client.post(f"{JOBS}/{second['job_id']}/cancel")
    document = (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    assert (document["status"], document["indexed_revision"], document["revision"]) == ("failed", 1, 2)


async def test_what_is_done_or_a_deletion_cannot_be_called_off(api: Api, client: httpx.AsyncClient) -> None:
    """409, and everything stays as it is."""
    accepted = await posted(client)
    await api.work()
    deletion = (await client.delete(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    for job_id in (accepted["job_id"], deletion["job_id"]):
        answer = await client.post(f"{JOBS}/{job_id}/cancel")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")
    assert await api.work() == 1
