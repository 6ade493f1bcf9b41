"""Questions are answered from the caller's own, living, newest documents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from pipelines.retrieval.rerank import Relevance, RerankFailed
from pipelines.retrieval.rerank_sentences import SentenceReranker
from stores.sql.models import GenerationRow
from tests.fakes.website import website
from tests.integration.server.running import Api, running, settings_for

DOCUMENTS = "/api/v1/rag/documents"
INGEST = "/api/v1/rag/ingest"
QUERY = "/api/v1/rag/query"


async def post(client: httpx.AsyncClient, source: str, **options: Any) -> dict[str, Any]:
    answer = await client.post(INGEST, json={"source_type": "text", "source": source, **options})
    assert answer.status_code == 202, answer.text
    accepted: dict[str, Any] = answer.json()
    return accepted


async def ask(client: httpx.AsyncClient, query: str, **options: Any) -> dict[str, Any]:
    answer = await client.post(QUERY, json={"query": query, **options})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_posted_text_is_found_with_its_place_and_metadata(api: Api, client: httpx.AsyncClient) -> None:
    """The answer has the reference's fields and the index's version, and says where the chunk comes from."""
    accepted = await post(client, "The dome opens at dusk.", metadata={"team": "optics", "source": "dome.md"})
    await api.work()
    body = await ask(client, "When does the dome open?")
    assert body.keys() == {"results", "total", "query_time", "index_version"}
    assert body["total"] == len(body["results"]) == 1
    [result] = body["results"]
    assert result.keys() == {"content", "score", "metadata"}
    assert result["content"] == "The dome opens at dusk."
    assert 0 <= result["score"] <= 1
    assert result["metadata"].pop("chunk_id")
    assert result["metadata"] == {
        "team": "optics",
        "source": "dome.md",
        "source_type": "text",
        "document_id": accepted["document_id"],
        "revision": 1,
        "page": None,
        "section": None,
    }


async def test_metadata_cannot_imitate_ours(api: Api, client: httpx.AsyncClient) -> None:
    """A document that calls itself another is shown as itself; filters still see what its owner wrote."""
    accepted = await post(client, "A forgery.", metadata={"document_id": "other", "source_type": "documentation"})
    await api.work()
    [result] = (await ask(client, "forgery", filters={"source_type": "documentation"}))["results"]
    assert result["metadata"]["document_id"] == accepted["document_id"]
    assert result["metadata"]["source_type"] == "text"


async def test_a_tenant_without_documents_gets_an_empty_answer(client: httpx.AsyncClient) -> None:
    """Nothing there is not an error."""
    body = await ask(client, "anything")
    assert (body["results"], body["total"]) == ([], 0)


async def test_answers_come_from_ones_own_documents_only(
    api: Api, client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """The same question finds each tenant's own text."""
    await post(client, "Our secret is forty-two.")
    await post(stranger, "Their secret is seven.")
    await api.work()
    mine, theirs = await ask(client, "secret"), await ask(stranger, "secret")
    assert [result["content"] for result in mine["results"]] == ["Our secret is forty-two."]
    assert [result["content"] for result in theirs["results"]] == ["Their secret is seven."]


async def test_the_old_revision_answers_until_the_new_one_is_in(api: Api, client: httpx.AsyncClient) -> None:
    """A revision on its way changes nothing; once it is in, nothing of the old one is left."""
    first = await post(client, "The pump runs at noon.", external_id="pump")
    await api.work()
    second = await post(client, "The pump runs at midnight.", external_id="pump")
    assert (second["document_id"], second["revision"]) == (first["document_id"], 2)
    [old] = (await ask(client, "pump"))["results"]
    assert (old["content"], old["metadata"]["revision"]) == ("The pump runs at noon.", 1)
    await api.work()
    [new] = (await ask(client, "pump"))["results"]
    assert (new["content"], new["metadata"]["revision"]) == ("The pump runs at midnight.", 2)


async def test_a_revision_that_fails_leaves_the_old_one_answering(api: Api, client: httpx.AsyncClient) -> None:
    """The document says that it failed and why, and goes on answering."""
    accepted = await post(client, "The pump runs at noon.", external_id="pump")
    await api.work()
    await post(client, "%broken%", external_id="pump")
    await api.work()
    document = (await client.get(f"{DOCUMENTS}/{accepted['document_id']}")).json()
    assert (document["status"], document["revision"], document["indexed_revision"]) == ("failed", 2, 1)
    assert document["error"]["code"] == "DOCUMENT_UNREADABLE"
    assert (await ask(client, "pump"))["total"] == 1


async def test_a_deleted_document_never_answers_again(api: Api, client: httpx.AsyncClient) -> None:
    """From the answer to the deletion on, before any worker has touched the index; and its twin still answers."""
    gone = await post(client, "Copper melts at 1085 degrees.")
    await post(client, "Copper melts at 1085 degrees.")
    await api.work()
    assert (await ask(client, "copper"))["total"] == 2
    deleted = await client.delete(f"{DOCUMENTS}/{gone['document_id']}")
    assert deleted.status_code == 202
    for _ in range(2):
        results = (await ask(client, "copper"))["results"]
        assert [result["metadata"]["document_id"] == gone["document_id"] for result in results] == [False]
        await api.work()
    job = (await client.get(f"/api/v1/rag/jobs/{deleted.json()['job_id']}")).json()
    assert (job["kind"], job["status"]) == ("rag.delete", "succeeded")


async def test_explain_adds_the_part_scores(api: Api, client: httpx.AsyncClient) -> None:
    """Without it the answer has the reference's fields and no others; with it also what it was made with."""
    await post(client, "The dome opens at dusk.")
    await api.work()
    body = await ask(client, "dome", explain=True)
    [result] = body["results"]
    assert body["explanation"].pop("embedder")
    assert body["explanation"] == {"mode": "hybrid", "fusion": "convex", "alpha": 0.8, "reranker": None}
    words = await ask(client, "dome", explain=True, mode="keyword", rerank=True)
    assert (words["explanation"]["fusion"], words["explanation"]["reranker"]) == (None, "sentences")
    assert result["scores"].keys() == {"vector", "keyword", "rerank"}


async def test_narrowed_by_collection_filters_and_mode(api: Api, client: httpx.AsyncClient) -> None:
    """Each narrows; a filter that is wrong is told with its place."""
    await post(client, "A red apple.", collection="fruit", metadata={"year": 2025})
    await post(client, "A red car.", collection="cars", metadata={"year": 2026})
    await api.work()
    assert (await ask(client, "red", mode="keyword"))["total"] == 2
    assert (await ask(client, "red", mode="vector"))["total"] == 2
    assert (await ask(client, "red", limit=1))["total"] == 1
    [apple] = (await ask(client, "red", collection="fruit"))["results"]
    assert apple["content"] == "A red apple."
    [car] = (await ask(client, "red", filters={"year": 2026}))["results"]
    assert car["content"] == "A red car."
    refused = await client.post(QUERY, json={"query": "red", "filters": {"$nearby": 1}})
    assert refused.status_code == 400
    assert refused.json()["error"]["details"]["violations"][0]["pointer"] == "/filters/$nearby"


async def test_chunks_are_listed_in_reading_order(api: Api, client: httpx.AsyncClient) -> None:
    """Page by page, all of them, once."""
    text = "\n\n".join(f"Paragraph {number} speaks of the number {number} at some length." for number in range(12))
    accepted = await post(client, text, chunk_tokens=12, overlap_tokens=0, chunking_strategy="fixed")
    path = f"{DOCUMENTS}/{accepted['document_id']}/chunks"
    assert (await client.get(path)).json()["items"] == []
    await api.work()
    first = (await client.get(path, params={"limit": 5})).json()
    rest = (await client.get(path, params={"skip": 5, "limit": 100})).json()
    assert (first["has_more"], rest["has_more"]) == (True, False)
    positions = [chunk["position"] for chunk in first["items"] + rest["items"]]
    assert positions == list(range(first["total"]))
    assert first["total"] > 5


async def test_reranked_if_asked(api: Api, client: httpx.AsyncClient) -> None:
    """The answer says that it was, and nothing of it unless it was asked for; nothing indexed, nothing to read."""
    assert (await ask(client, "dome", rerank=True))["reranked"] is True
    await post(client, "The dome opens at dusk. Nobody climbs it in winter, when the ladders are frozen.")
    await post(client, "Ladders are kept in the shed. The shed has no dome.")
    await api.work()
    body = await ask(client, "The dome opens at dusk.", rerank=True, explain=True)
    assert body["reranked"] is True
    assert "rerank_fallback" not in body
    assert all(result["scores"]["rerank"] is not None for result in body["results"])
    assert body["results"][0]["content"].startswith("The dome opens")
    assert "reranked" not in await ask(client, "dome")


async def test_the_reranker_may_be_elsewhere_and_away(
    api: Api, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it does, the answer is that of the fused order, flagged."""

    def broken(self: SentenceReranker, query: str, texts: Sequence[str]) -> Relevance:
        raise RerankFailed("The rerank endpoint answered 500.")

    await post(client, "The dome opens at dusk.")
    await api.work()
    plain = await ask(client, "dome")
    monkeypatch.setattr(SentenceReranker, "score", broken)
    body = await ask(client, "dome", rerank=True)
    assert (body["reranked"], body["rerank_fallback"]) == (False, "failed")
    assert body["results"] == plain["results"]


async def test_filters_with_operators(api: Api, client: httpx.AsyncClient) -> None:
    """The guide's filters find what they say; every fault is told at once."""
    for year, tags in ((2019, ["draft"]), (2024, ["final", "optics"]), (2026, [])):
        await post(client, f"The report of {year}.", metadata={"year": year, "tags": tags, "day": f"{year}-05-01"})
    await api.work()

    async def years(**filters: Any) -> set[int]:
        return {each["metadata"]["year"] for each in (await ask(client, "report", filters=filters))["results"]}

    assert await years(year={"$gte": 2024, "$lt": 2026}) == {2024}
    assert await years(day={"$gt": "2020-01-01"}) == {2024, 2026}
    assert await years(tags={"$contains": "optics"}) == {2024}
    assert await years(**{"$or": [{"year": 2019}, {"$not": {"day": {"$contains": "24"}}}]}) == {2019, 2026}
    assert await years(year={"$in": [2019, 2026]}, missing={"$exists": False}) == {2019, 2026}
    refused = await client.post(
        QUERY, json={"query": "report", "filters": {"$or": [{"a": {"$near": 1}}], "year": {"$gt": True}}}
    )
    assert refused.status_code == 400
    pointers = [each["pointer"] for each in refused.json()["error"]["details"]["violations"]]
    assert pointers == ["/filters/$or/0/a/$near", "/filters/year/$gt"]


async def test_shares_and_differences(api: Api, client: httpx.AsyncClient) -> None:
    """`max_per_document` bounds each document, `diversity` puts off what was said, `alpha` and `fusion` weigh."""
    text = "\n\n".join(f"Red apples number {number} are sold in the market." for number in range(8))
    await post(client, text, chunk_tokens=12, overlap_tokens=0, chunking_strategy="fixed")
    await post(client, "A red car.")
    await api.work()
    for options in ({"max_per_document": 1}, {"max_per_document": 1, "rerank": True}, {"max_per_document": 1.0}):
        results = (await ask(client, "red apples", limit=10, **options))["results"]
        documents = [result["metadata"]["document_id"] for result in results]
        assert len(documents) == len(set(documents)) == 2
    for options in ({"diversity": 0.5}, {"diversity": 1}, {"alpha": 0}, {"alpha": 1}, {"fusion": "rrf"}):
        assert len((await ask(client, "red apples", limit=3, **options))["results"]) == 3


async def test_words_are_found_while_the_model_is_away(database_url: str, tmp_path: Path) -> None:
    """Keyword questions and lists of chunks wait for no model; whatever needs one says that it is away."""
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            accepted = await post(client, "The dome opens at dusk.")
            await api.work()
        async with api.database.transaction() as session:
            await session.execute(update(GenerationRow).values(embedder="away"))
    async with website() as site:  # 404 whatever it is asked
        endpoint = {"base_url": f"{site.url}/v1", "model": "m", "dimensions": 384}
        settings = settings_for(tmp_path, database_url, embedder="away", embedding_endpoints={"away": endpoint})
        async with running(settings) as api, api.client(key) as client:
            found = await ask(client, "dusk", mode="keyword", explain=True)
            assert [each["content"] for each in found["results"]] == ["The dome opens at dusk."]
            chunks = await client.get(f"{DOCUMENTS}/{accepted['document_id']}/chunks")
            assert (chunks.status_code, chunks.json()["total"]) == (200, 1)
            for needing in ({}, {"mode": "vector"}, {"mode": "keyword", "rerank": True}):
                refused = await client.post(QUERY, json={"query": "dusk", **needing})
                assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
