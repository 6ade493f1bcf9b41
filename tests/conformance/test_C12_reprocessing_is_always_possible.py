"""C12: documents are indexed anew by API, whatever became of them, and many at once (ragflow #6960, #7768, #7838)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import SystemClock
from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.letterbox import Letterbox
from stores.sql.models import Lane
from tests.integration.server.running import LEASE, Api, running, settings_for

RAG = "/api/v1/rag"


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url)) as api:
        yield api


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    _, key = await api.tenant()
    async with api.client(key) as client:
        yield client


async def posted(client: httpx.AsyncClient, source: str, **options: Any) -> dict[str, Any]:
    body = {"source_type": "text", "source": source, **options}
    accepted: dict[str, Any] = (await client.post(f"{RAG}/ingest", json=body)).raise_for_status().json()
    return accepted


async def status(client: httpx.AsyncClient, document_id: str) -> str:
    return str((await client.get(f"{RAG}/documents/{document_id}")).json()["status"])


async def worked_off_in_the_batch_lane(api: Api) -> int:
    """Do what waits in it; return how many jobs that were."""
    letterbox = Letterbox(api.database, SystemClock(), lease=LEASE, sweep_after=LEASE)
    jobs = await letterbox.claim("test", Lane.BATCH, limit=100)
    async with keep(letterbox, jobs, lease=LEASE) as kept:
        await work_off(*api.lane(), jobs, kept)
    return len(jobs)


@pytest.mark.parametrize("state", ["indexed", "failed", "cancelled", "changed"])
async def test_C12_reprocessing_is_always_possible(api: Api, client: httpx.AsyncClient, state: str) -> None:
    """From every state that is an end, and from that of the reprocessing itself."""
    accepted = await posted(client, "%broken%" if state == "failed" else "A text.")
    document_id = accepted["document_id"]
    if state == "cancelled":
        (await client.post(f"{RAG}/jobs/{accepted['job_id']}/cancel")).raise_for_status()
    if state == "changed":
        (await client.patch(f"{RAG}/documents/{document_id}", json={"metadata": {"a": 1}})).raise_for_status()
    await api.work()
    for _ in range(2):
        answer = await client.post(f"{RAG}/documents/{document_id}/reprocess")
        assert (answer.status_code, await status(client, document_id)) == (202, "queued")
        assert await api.work() == 1
        assert await status(client, document_id) == ("failed" if state == "failed" else "indexed")


async def test_C12_a_deleted_document_is_gone(api: Api, client: httpx.AsyncClient) -> None:
    """Deleting means it: what is deleted is posted again, not brought back."""
    document_id = (await posted(client, "A text."))["document_id"]
    await api.work()
    (await client.delete(f"{RAG}/documents/{document_id}")).raise_for_status()
    assert (await client.post(f"{RAG}/documents/{document_id}/reprocess")).status_code == 404


async def test_C12_many_at_once_by_filter(api: Api, client: httpx.AsyncClient) -> None:
    """Failed ones alone, or a whole collection, with a job for each."""
    for number in range(3):
        await posted(client, f"Text {number}.", collection="a")
    failed = (await posted(client, "%broken%", collection="a"))["document_id"]
    await posted(client, "Another collection's.", collection="b")
    await api.work()
    only = (await client.post(f"{RAG}/documents/reprocess", json={"filter": {"status": "failed"}})).json()
    assert [(item["document_id"], item["status"]) for item in only["items"]] == [(failed, "queued")]
    rest = (await client.post(f"{RAG}/documents/reprocess", json={"filter": {"collection": "a"}})).json()
    assert (rest["matched"], rest["changed"]) == (4, 3)
    jobs = {item["job_id"] for item in [*only["items"], *rest["items"]] if item["job_id"]}
    assert await worked_off_in_the_batch_lane(api) == len(jobs) == 4
    ended = [(await client.get(f"{RAG}/jobs/{job_id}")).json()["status"] for job_id in jobs]
    assert sorted(ended) == ["failed", "succeeded", "succeeded", "succeeded"]
