"""C02: a revision that fails on its way leaves the one before answering (llama_index #22639)."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import EmbeddingFailed
from pipelines.embedding.base import Vectors
from pipelines.embedding.hashed import HashEmbedder
from tests.integration.server.running import running, settings_for

RAG = "/api/v1/rag"


def fail(self: HashEmbedder, texts: Sequence[str]) -> Vectors:
    raise EmbeddingFailed("The embedder is away.")


async def test_C02_old_revision_answers_until_the_new_is_in(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedder raises mid-revision: failed, the old text answers whole; reprocessed, the new one does."""
    settings = settings_for(tmp_path, database_url, job_max_attempts=1)
    async with running(settings) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:

            async def post(source: str) -> str:
                body = {"source_type": "text", "source": source, "external_id": "d"}
                return str((await client.post(f"{RAG}/ingest", json=body)).raise_for_status().json()["document_id"])

            async def answers() -> list[str]:
                body = {"query": "dome opens", "mode": "keyword"}
                found = (await client.post(f"{RAG}/query", json=body)).raise_for_status().json()["results"]
                return [result["content"] for result in found]

            document_id = await post("The dome opens at dusk.")
            await api.work()
            await post("The dome opens at dawn.")
            with monkeypatch.context() as patched:
                patched.setattr(HashEmbedder, "embed", fail)
                await api.work()
            document = (await client.get(f"{RAG}/documents/{document_id}")).json()
            assert (document["status"], document["error"]["code"]) == ("failed", "EMBEDDING_FAILED")
            assert (document["revision"], document["indexed_revision"]) == (2, 1)
            assert await answers() == ["The dome opens at dusk."]

            (await client.post(f"{RAG}/documents/{document_id}/reprocess")).raise_for_status()
            assert await answers() == ["The dome opens at dusk."]
            await api.work()
            document = (await client.get(f"{RAG}/documents/{document_id}")).json()
            assert (document["status"], document["indexed_revision"]) == ("indexed", 2)
            assert await answers() == ["The dome opens at dawn."]
