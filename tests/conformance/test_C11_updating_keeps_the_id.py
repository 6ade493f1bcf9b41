"""C11: new content is a new revision of the same document, never another document (ragflow #10546)."""

from pathlib import Path

from tests.integration.server.running import running, settings_for

RAG = "/api/v1/rag"


async def test_C11_updating_keeps_the_id(database_url: str, tmp_path: Path) -> None:
    """Content by posting again, metadata by PATCH: the same id, one revision more each, and one document in all."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:

            async def post(source: str) -> tuple[str, int]:
                body = {"source_type": "text", "source": source, "external_id": "guide"}
                accepted = (await client.post(f"{RAG}/ingest", json=body)).raise_for_status().json()
                return accepted["document_id"], accepted["revision"]

            document_id, revision = await post("The first wording.")
            assert revision == 1
            assert await post("The second wording.") == (document_id, 2)
            await api.work()
            assert await post("The third wording.") == (document_id, 3)
            changed = await client.patch(f"{RAG}/documents/{document_id}", json={"metadata": {"team": "optics"}})
            assert changed.json()["document"]["document_id"] == document_id
            assert changed.json()["document"]["revision"] == 4
            await api.work()
            listed = (await client.get(f"{RAG}/documents")).json()
            assert [(each["document_id"], each["indexed_revision"]) for each in listed["items"]] == [(document_id, 4)]
            chunks = (await client.get(f"{RAG}/documents/{document_id}/chunks")).json()["items"]
            assert [chunk["content"] for chunk in chunks] == ["The third wording."]
