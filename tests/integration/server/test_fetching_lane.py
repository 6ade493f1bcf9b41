"""The worker's lanes: a site that keeps us waiting keeps nobody else waiting."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.ids import DocumentId
from pipelines.streams.ingest_lane import IngestLane
from stores.blobs import BlobKey
from stores.documents import StoredRevision
from stores.fetched import Fetched, Fetches
from tests.fakes.website import Website, answer, website
from tests.integration.server.running import LEASE, Api, running, settings_for

INGEST, DOCUMENTS = "/api/v1/rag/ingest", "/api/v1/rag/documents"


class SilentBell:
    """A Redis that is away: the lane polls."""

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with website({f"/slow/{number}": b"" for number in range(40)} | {"/quick": answer("Quick.")}) as site:
        yield site


@pytest.fixture
async def api(database_url: str, tmp_path: Path, site: Website) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url, egress_allow=site.place)) as api:
        yield api


async def test_slow_sites_keep_no_posted_text_waiting(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """Forty pages that never come are waited for in slots of their own; a text posted after them is indexed."""
    for number in range(40):
        await client.post(INGEST, json={"source_type": "url", "source": f"{site.url}/slow/{number}"})
    tools, writer = api.lane()
    lane = IngestLane(
        tools=tools,
        writer=writer,
        letterbox=writer.letterbox,
        bell=SilentBell(),  # type: ignore[arg-type] - a bell that never rings
        lease=LEASE,
        owner="test",
        poll_seconds=0.05,
        grace_seconds=0.1,
    )
    stop = asyncio.Event()
    working = asyncio.create_task(lane.run(stop))
    try:
        async with asyncio.timeout(30):
            while site.connections < 32:
                await asyncio.sleep(0.02)
        posted = (await client.post(INGEST, json={"source_type": "text", "source": "A text."})).json()
        async with asyncio.timeout(10):
            while (await client.get(f"{DOCUMENTS}/{posted['document_id']}")).json()["status"] != "indexed":
                await asyncio.sleep(0.02)
        waiting = (await client.get(DOCUMENTS, params={"source_type": "url", "status": "processing"})).json()
        assert waiting["total"] == 32
    finally:
        stop.set()
        await working


async def test_what_was_fetched_first_is_what_the_revision_is(
    api: Api, client: httpx.AsyncClient, site: Website
) -> None:
    """Two workers that fetched different bytes for one revision go on with the same: those written down first."""
    posted = (await client.post(INGEST, json={"source_type": "url", "source": f"{site.url}/quick"})).json()
    view = (await client.get(f"{DOCUMENTS}/{posted['document_id']}")).json()
    tools, _ = api.lane()
    [revision] = (await tools.documents.revisions_of([(DocumentId(view["document_id"]), 1)])).values()
    assert isinstance(revision, StoredRevision)
    fetches = Fetches(api.database)
    first, second = (
        Fetched(blob_key=BlobKey(key * 64), size_bytes=1, origin={"etag": key, "url": view["source"]}) for key in "ab"
    )
    kept = await asyncio.gather(fetches.keep(revision, first), fetches.keep(revision, second))
    assert kept[0] == kept[1]
    assert kept[0] in (first, second)
    assert await fetches.before(revision) is None
