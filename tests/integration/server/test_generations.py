"""Another index is built beside the one that answers, and takes its place without anybody noticing."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import delete

from core.errors import ParsingTimedOut
from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.streams.ingest_lane import IngestLane
from stores.redis import Bell
from stores.sql.models import GenerationDocumentRow, GenerationRow, IndexMoveRow, IndexPointerRow
from tests.fakes.parsing import ParagraphParser
from tests.integration.server.running import Api
from tests.integration.server.test_query import ask, post

GENERATIONS = "/api/v1/rag/generations"
GOLDEN_SETS = "/api/v1/rag/golden-sets"
FINE = {"strategy": "fixed", "chunk_tokens": 8, "overlap_tokens": 0}
TEXTS = {
    "dome": "The dome opens at dusk and closes before the first light of the morning reaches the mirror.",
    "pump": "The vacuum pump runs at noon, when nobody observes, for as long as the pressure takes to fall.",
    "kite": "A kite is flown on the meadow behind the workshop whenever the wind blows from the sea.",
}

DECOYS = [f"{first} {second}" for first in ("dome", "dusk") for second in ("light", "morning", "mirror")] * 3


async def post_all(api: Api, client: httpx.AsyncClient) -> None:
    for name, text in TEXTS.items():
        await post(client, text, external_id=name)
    await api.work()


async def created(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.post(GENERATIONS, json=asked)
    assert answer.status_code == 202, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def shown(client: httpx.AsyncClient, generation: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"{GENERATIONS}/{generation['generation_id']}")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def promote(client: httpx.AsyncClient, generation: dict[str, Any], **asked: Any) -> httpx.Response:
    return await client.post(f"{GENERATIONS}/{generation['generation_id']}/promote", json=asked)


def generation_of(answer: dict[str, Any]) -> str:
    number: str = answer["index_version"].split(".")[0]
    return number


async def found_by(client: httpx.AsyncClient, query: str) -> list[str]:
    return [result["content"] for result in (await ask(client, query, limit=100))["results"]]


async def test_swap_of_embedder_and_chunker(api: Api, client: httpx.AsyncClient) -> None:
    """Built, promoted, rolled back: each answers with its own chunks, and says which one it was."""
    await post_all(api, client)
    before = await ask(client, "dome")
    candidate = await created(client, embedder="hashed-128", chunking=FINE)
    assert (candidate["state"], candidate["number"], candidate["dimensions"]) == ("building", 2, 128)
    assert candidate["progress"] == {"documents": 3, "indexed": 0, "failed": 0, "behind": 3, "chunks": 0}
    refused = await promote(client, candidate)
    assert refused.status_code == 409
    assert await api.build() == 1
    candidate = await shown(client, candidate)
    assert candidate["state"] == "ready"
    assert candidate["progress"]["indexed"] == 3
    assert candidate["progress"]["chunks"] > 6
    during = await ask(client, "dome")
    assert (during["results"], during["index_version"]) == (before["results"], before["index_version"])
    promoted = await promote(client, candidate)
    assert (promoted.status_code, promoted.json()["state"]) == (200, "active")
    after = await ask(client, "dome")
    assert (generation_of(before), generation_of(after)) == ("g1", "g2")
    assert all(len(result["content"].split()) <= 8 for result in after["results"])
    [dome] = (await client.get("/api/v1/rag/documents?search=dome")).json()["items"]
    chunks = (await client.get(f"/api/v1/rag/documents/{dome['document_id']}/chunks?limit=2")).json()
    assert (chunks["total"] > 2, chunks["has_more"]) == (True, True)
    states = {view["number"]: view["state"] for view in (await client.get(GENERATIONS)).json()["items"]}
    assert states == {1: "standby", 2: "active"}
    rolled = await client.post(f"{GENERATIONS}/rollback", json={"reason": "A drill."})
    assert (rolled.status_code, rolled.json()["number"]) == (200, 1)
    again = await ask(client, "dome")
    assert (again["results"], again["index_version"]) == (before["results"], before["index_version"])


async def test_what_changes_during_a_build_is_right_in_both(api: Api, client: httpx.AsyncClient) -> None:
    """Posted, revised and deleted before, during and after: either index answers with the last word."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await post(client, "A new lamp hangs over the stair.", external_id="lamp")
    await post(client, "The pump was taken away.", external_id="pump")
    [kite] = (await client.get("/api/v1/rag/documents?search=kite")).json()["items"]
    await api.work()
    assert await api.build() == 1
    await post(client, "The lamp was lit.", external_id="lamp")
    assert (await client.delete(f"/api/v1/rag/documents/{kite['document_id']}")).status_code == 202
    await api.work()
    behind = await promote(client, candidate)
    assert (behind.status_code, behind.json()["error"]["details"]) == (409, {"documents_behind": 1})
    await api.build()
    assert (await promote(client, candidate)).status_code == 200
    for _ in range(2):
        everything = " ".join(await found_by(client, "lamp lit pump kite dome meadow noon"))
        assert "lamp was lit" in everything
        assert "stair" not in everything
        assert "kite" not in everything
        assert "noon" not in everything
        assert "taken away" in everything
        await client.post(f"{GENERATIONS}/rollback", json={})


async def test_documents_posted_after_a_promotion_are_there_after_the_rollback(
    api: Api, client: httpx.AsyncClient
) -> None:
    """The one on standby is kept in step; a deleted document does not come back with it."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    await promote(client, candidate)
    late = await post(client, "The comet was seen at last.", external_id="comet")
    [kite] = (await client.get("/api/v1/rag/documents?search=kite")).json()["items"]
    await client.delete(f"/api/v1/rag/documents/{kite['document_id']}")
    await api.work()
    assert any("comet" in text for text in await found_by(client, "comet"))
    await api.build()
    await client.post(f"{GENERATIONS}/rollback", json={})
    answer = await ask(client, "comet kite", limit=100)
    assert generation_of(answer) == "g1"
    documents = {result["metadata"]["document_id"] for result in answer["results"]}
    assert late["document_id"] in documents
    assert kite["document_id"] not in documents


@pytest.mark.parametrize("forced", [False, True])
async def test_worse_answers_are_not_promoted(api: Api, client: httpx.AsyncClient, forced: bool) -> None:
    """The comparison says by how much; whoever insists says why, and the audit log knows."""
    await post_all(api, client)
    for number, pair in enumerate(DECOYS):
        await post(client, f"{pair} are words in note {number}, which is about nothing else at all.")
    await api.work()
    questions = [{"query": "dome dusk light morning mirror", "relevant": [{"external_id": "dome"}]}]
    made = await client.post(GOLDEN_SETS, json={"name": "daily", "questions": questions})
    assert made.status_code == 201, made.text
    # Cut so fine that no chunk has more of the question than a decoy has, and of one dimension: alike or opposite.
    worse = await created(client, embedder="hashed-1", chunking={"strategy": "fixed", "chunk_tokens": 4})
    await api.build()
    view = await shown(client, worse)
    [measured] = view["evaluation"]["sets"]
    assert measured["active"] == {"recall": 1.0, "ndcg": 1.0}
    assert measured["candidate"]["ndcg"] < 1
    if forced:
        answer = await promote(client, worse, force=True, reason="We know better.")
        assert answer.status_code == 200
        [entry] = [
            entry
            for entry in (await client.get("/api/v1/audit/events")).json()["items"]
            if entry["action"] == "generation.promoted"
        ]
        assert entry["details"] == {"number": 2, "forced": True, "reason": "We know better."}
    else:
        answer = await promote(client, worse)
        assert answer.status_code == 409
        assert answer.json()["error"]["details"]["sets"] == view["evaluation"]["sets"]
        assert generation_of(await ask(client, "dome")) == "g1"


async def test_changed_questions_are_asked_anew(api: Api, client: httpx.AsyncClient) -> None:
    """A candidate measured by other questions, or against another generation, waits for its builder."""
    await post_all(api, client)
    candidate = await created(client)
    await api.build()
    body = {"name": "daily", "questions": [{"query": "dome", "relevant": [{"external_id": "dome"}]}]}
    golden = (await client.post(GOLDEN_SETS, json=body)).json()
    assert (await promote(client, candidate)).status_code == 409
    assert await api.build() == 1
    body["questions"].append({"query": "pump", "relevant": [{"external_id": "pump", "grade": 2}]})
    path = f"{GOLDEN_SETS}/{golden['golden_set_id']}"
    changed = await client.put(path, json=body, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert (await client.put(path, json=body, headers={"if-match": '"1"'})).status_code == 412
    assert (await promote(client, candidate)).status_code == 409
    assert await api.build() == 1
    assert await api.build() == 0
    assert (await promote(client, candidate)).status_code == 200


class StumblingParser(ParagraphParser):
    """Fails at each file as often as it is told to, before it reads it."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._failed: Counter[bytes] = Counter()

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        return [self._stumbled(file.content) or (await ParagraphParser.parse(self, [file]))[0] for file in files]

    def _stumbled(self, content: bytes) -> ParsedFile | None:
        self._failed[content] += 1
        late = ParsingTimedOut("The parser did not finish in time.")
        return ParsedFile(failure=late) if self._failed[content] <= self._times else None


@pytest.mark.parametrize(("times", "indexed"), [(2, 3), (99, 0)])
async def test_a_parser_that_stumbles_costs_no_document(
    api: Api, client: httpx.AsyncClient, times: int, indexed: int
) -> None:
    """A document that could be read before is tried again; what cannot be read now is counted, and in the way."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    builder = api.builder()
    tools = replace(builder.follower.tools, parser=StumblingParser(times))
    [generation] = [found for found in await builder.work.following() if found.number == 2]
    await replace(builder, follower=replace(builder.follower, tools=tools)).build(generation)
    progress = (await shown(client, candidate))["progress"]
    assert (progress["indexed"], progress["failed"], progress["behind"]) == (indexed, 3 - indexed, 0)
    promoted = await promote(client, candidate)
    assert promoted.status_code == (200 if indexed else 409)
    if not indexed:
        assert promoted.json()["error"]["details"] == {"documents_failed": 3}


async def test_a_retired_generation_is_gone(api: Api, client: httpx.AsyncClient) -> None:
    """Its table is dropped, it is listed as retired, and nothing leads back to it. The active one cannot be."""
    await post_all(api, client)
    candidate = await created(client)
    await api.build()
    await promote(client, candidate)
    [first] = [view for view in (await client.get(GENERATIONS)).json()["items"] if view["number"] == 1]
    assert (await client.delete(f"{GENERATIONS}/{candidate['generation_id']}")).status_code == 409
    folders = {path.name for path in api.settings.lance_path.iterdir()}
    retired = await client.delete(f"{GENERATIONS}/{first['generation_id']}")
    assert (retired.status_code, retired.json()["state"]) == (200, "retired")
    assert folders - {path.name for path in api.settings.lance_path.iterdir()}
    assert (await client.post(f"{GENERATIONS}/rollback", json={})).status_code == 409
    assert (await promote(client, first)).status_code == 409
    assert len(await found_by(client, "dome")) >= 1
    await post(client, "After all that.", external_id="after")
    await api.work()
    assert "After all that." in await found_by(client, "after")


async def test_unknown_embedders_are_refused(client: httpx.AsyncClient) -> None:
    """Nobody chooses where this installation connects to."""
    answer = await client.post(GENERATIONS, json={"embedder": "somewhere-else"})
    assert answer.status_code == 404
    assert (await client.get(GENERATIONS)).json() == {"items": []}


async def test_an_index_from_before_there_were_generations_goes_on(api: Api, client: httpx.AsyncClient) -> None:
    """It answers as generation 1, unseen; the next document makes it one, and a candidate holds the old ones too."""
    await post_all(api, client)
    before = await ask(client, "dome")
    async with api.database.transaction() as session:
        for model in (GenerationDocumentRow, IndexMoveRow, IndexPointerRow, GenerationRow):
            await session.execute(delete(model))
    again = await ask(client, "dome")
    assert (again["results"], again["index_version"]) == (before["results"], before["index_version"])
    await post(client, "A lamp.", external_id="lamp")
    await api.work()
    assert len(await found_by(client, "lamp dome pump kite")) == 4
    candidate = await created(client, chunking=FINE)
    await api.build()
    assert (await shown(client, candidate))["progress"]["indexed"] == 4
    assert (await promote(client, candidate)).status_code == 200


class NoBell:
    """A bell that nobody rings: the lane looks by itself."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_the_worker_keeps_the_others_in_step(api: Api, client: httpx.AsyncClient) -> None:
    """What it has indexed is in every other generation soon after, without a builder."""
    await post_all(api, client)
    candidate = await created(client, chunking=FINE)
    await api.build()
    tools, writer = api.lane()
    lane = IngestLane(
        tools=tools,
        writer=writer,
        letterbox=writer.letterbox,
        bell=cast(Bell, NoBell()),
        lease=timedelta(seconds=30),
        owner="test",
        poll_seconds=0.05,
        follower=api.builder().follower,
        follow_seconds=0.05,
    )
    stop = asyncio.Event()
    working = asyncio.create_task(lane.run(stop))
    await post(client, "The comet was seen at last.", external_id="comet")
    async with asyncio.timeout(30):
        while (await shown(client, candidate))["progress"]["indexed"] < 4:
            await asyncio.sleep(0.05)
    stop.set()
    await working
    assert (await promote(client, candidate)).status_code == 200
    assert any("comet" in text for text in await found_by(client, "comet"))
