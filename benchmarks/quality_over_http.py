"""Retrieval quality as a client sees it: a collection ingested and asked through a served API with default settings."""

import asyncio
import sys
from collections.abc import Sequence

import httpx

from benchmarks.system import System, installation, system
from benchmarks.trec import Collection, Scores
from pipelines.retrieval.query import SearchMode

_AT_ONCE = 200
_PASSAGES = 100
# Nothing says more of a passage's worth than its best chunk; a passage of several is one result.
_ONE_EACH = {"limit": _PASSAGES, "max_per_document": 1}
_PATIENCE_SECONDS = 3_600.0


async def measured_runs(collection: Collection) -> dict[str, dict[str, Scores]]:
    """Start a system, post every passage, and return what each query finds in each mode, passages by their ids."""
    async with installation() as installed, system(installed) as running:
        await _ingest(running, collection)
        return {str(mode): await _asked(running.client, collection, mode) for mode in SearchMode}


async def _ingest(running: System, collection: Collection) -> None:
    # One that is empty says nothing to find, and is refused.
    passages = [(passage_id, text) for passage_id, text in collection.passages.items() if text]
    for first in range(0, len(passages), _AT_ONCE):
        await _post(running.client, passages[first : first + _AT_ONCE])
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (counted := await _counted(running.client, "indexed")) < len(passages):
            print(f"\r{collection.name}: {counted} of {len(passages)} passages", end="", file=sys.stderr)
            if failed := await _counted(running.client, "failed"):
                raise RuntimeError(f"{failed} passages of {collection.name} were not indexed.")
            await asyncio.sleep(1)
    print(file=sys.stderr)


async def _post(client: httpx.AsyncClient, passages: Sequence[tuple[str, str]]) -> None:
    items = [
        {"source_type": "text", "source": text, "external_id": passage_id, "metadata": {"passage": passage_id}}
        for passage_id, text in passages
    ]
    accepted = (await client.post("/rag/ingest/batch", json={"items": items})).raise_for_status().json()
    if accepted["refused"]:
        refused = next(each for each in accepted["items"] if each["status"] == "refused")
        raise RuntimeError(f"A passage was refused: {refused['error']}")


async def _counted(client: httpx.AsyncClient, status: str) -> int:
    page = await client.get("/rag/documents", params={"status": status, "limit": 1})
    total: int = page.raise_for_status().json()["total"]
    return total


async def _asked(client: httpx.AsyncClient, collection: Collection, mode: SearchMode) -> dict[str, Scores]:
    found: dict[str, Scores] = {}
    for query_id, text in collection.queries.items():
        answer = await client.post("/rag/query", json={"query": text, "mode": str(mode), **_ONE_EACH})
        results = answer.raise_for_status().json()["results"]
        # By rank: scores are rounded, and what is equal after that was not before.
        found[query_id] = {
            result["metadata"]["passage"]: float(len(results) - rank) for rank, result in enumerate(results)
        }
    return found
