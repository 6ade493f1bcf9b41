"""C15: a document is there from the moment it is accepted, long before it is indexed (R2R #2222)."""

import time
from pathlib import Path

from tests.integration.server.running import running, settings_for

RAG = "/api/v1/rag"


async def test_C15_documents_are_listed_at_once(database_url: str, tmp_path: Path) -> None:
    """Within a second of its 202 it is listed with its status, found by its id, and so is its job."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            # An answer remembered from before must not hide it.
            assert (await client.get(f"{RAG}/documents")).json()["items"] == []
            for number in range(20):
                body = {"source_type": "text", "source": f"Text {number}.", "external_id": f"t{number}"}
                accepted = (await client.post(f"{RAG}/ingest", json=body)).raise_for_status().json()
                answered = time.monotonic()
                newest = (await client.get(f"{RAG}/documents", params={"limit": 1})).json()["items"][0]
                assert (newest["document_id"], newest["status"]) == (accepted["document_id"], "queued")
                assert time.monotonic() - answered < 1
                job = (await client.get(f"{RAG}/jobs/{accepted['job_id']}")).json()
                assert (job["status"], job["document_id"]) == ("queued", accepted["document_id"])
            batch = {"items": [{"source_type": "text", "source": f"More {number}."} for number in range(20)]}
            items = (await client.post(f"{RAG}/ingest/batch", json=batch)).raise_for_status().json()["items"]
            listed = (await client.get(f"{RAG}/documents", params={"limit": 100, "status": "queued"})).json()["items"]
            assert {item["document_id"] for item in items} <= {each["document_id"] for each in listed}
