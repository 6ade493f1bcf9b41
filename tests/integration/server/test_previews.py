"""A preview tells what posting would make, and keeps nothing."""

import json
from typing import Any

import httpx
import pytest

from tests.integration.server.running import Api

PREVIEW, DOCUMENTS = "/api/v1/rag/preview", "/api/v1/rag/documents"
PAGE = b"<h1>Domes</h1><p>The dome opens at dusk.</p><h2>Dawn</h2><p>It closes at dawn.</p>"

# The parsing child takes seconds to start; one database shows it all.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def previewed(client: httpx.AsyncClient, source: str, **options: Any) -> dict[str, Any]:
    answer = await client.post(PREVIEW, json={"source_type": "text", "source": source, **options})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_preview_is_what_posting_makes(api: Api, client: httpx.AsyncClient) -> None:
    """The same chunks with their counts, for a text and for a file; nothing is stored, nothing is queued."""
    text = " ".join(f"Sentence {number} is about domes." for number in range(120))
    shown = await previewed(client, text, chunk_tokens=50)
    assert shown["total_chunks"] == len(shown["chunks"]) > 10
    assert shown["total_tokens"] == sum(chunk["tokens"] for chunk in shown["chunks"])
    assert all(chunk["tokens"] <= 50 for chunk in shown["chunks"])
    assert all(text[chunk["start"] : chunk["end"]] == chunk["content"] for chunk in shown["chunks"])
    assert shown["chunking"] == {"strategy": "recursive", "chunk_tokens": 50, "overlap_tokens": 25}
    assert (shown["text_characters"], shown["error"]) == (len(text), None)

    form = {"source_type": "file", "chunking_strategy": "structure", "metadata": json.dumps({"a": 1})}
    answer = await client.post(PREVIEW, data=form, files={"file": ("domes.html", PAGE)})
    assert [(chunk["section"], chunk["content"]) for chunk in answer.json()["chunks"]] == [
        ("Domes", "Domes\n\nThe dome opens at dusk."),
        ("Domes > Dawn", "Dawn\n\nIt closes at dawn."),
    ]
    assert (await client.get(DOCUMENTS)).json()["total"] == 0
    assert (await client.get("/api/v1/rag/jobs")).json()["total"] == 0
    assert not api.settings.blob_path.exists()

    posted = {"source_type": "text", "source": text, "chunk_tokens": 50}
    document_id = (await client.post("/api/v1/rag/ingest", json=posted)).json()["document_id"]
    await api.work()
    chunks = (await client.get(f"{DOCUMENTS}/{document_id}/chunks", params={"limit": 100})).json()
    told = ("position", "content", "tokens", "page", "section", "start", "end")
    assert [[chunk[name] for name in told] for chunk in chunks["items"]] == [
        [chunk[name] for name in told] for chunk in shown["chunks"]
    ]


async def test_what_would_fail_says_why(client: httpx.AsyncClient) -> None:
    """As an outcome, not as an error: broken, too much for a preview, or somewhere else."""
    broken = {"file": ("a.pdf", b"%PDF-1.7\nnothing of the kind")}
    answer = await client.post(PREVIEW, data={"source_type": "file"}, files=broken)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["chunks"]) == (
        200,
        "DOCUMENT_UNREADABLE",
        [],
    )
    assert (await previewed(client, "word " * 110_000))["error"]["code"] == "DOCUMENT_TOO_LARGE"
    answer = await client.post(PREVIEW, json={"source_type": "url", "source": "https://example.com/"})
    assert answer.json()["error"]["code"] == "SOURCE_UNAVAILABLE"
