"""Sources through the API: made, changed, crawled on request, deleted; folders only where they were opened."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import SystemClock
from core.ids import new_id
from stores.buckets import bucket_of
from stores.outbox import Outbox
from stores.sources import CrawlProgress, Crawls
from stores.sql.models import CrawlState
from tests.integration.server.running import Api, running, settings_for

SITE = {"name": "handbook", "type": "sitemap", "location": "https://example.com/sitemap.xml", "cadence": "6h"}
PATH = "/api/v1/rag/sources"


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve with one folder open to sources."""
    folders = ("file:///srv/open", "s3://open/prefix", "nowhere://open")
    settings = settings_for(tmp_path, database_url, source_folders=folders)
    async with running(settings) as api:
        yield api


async def made(client: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    response = await client.post(PATH, json=SITE | given)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_a_source_is_kept_changed_and_deleted(api: Api) -> None:
    """What was posted is shown; a change without the newest ETag is refused; a deleted source is gone."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await made(client)
        place = f"{PATH}/{source['source_id']}"
        assert (source["cadence"], source["paused"], source["max_delete_fraction"]) == ("6h", False, 0.2)
        assert (await client.get(place)).json() | {"webhook_secret": None} == source
        assert (await client.post(PATH, json=SITE)).status_code == 409
        paused = await client.patch(place, json={"paused": True, "cadence": "90m"}, headers={"if-match": '"1"'})
        assert (paused.json()["paused"], paused.json()["cadence"]) == (True, "90m")
        assert paused.json()["next_crawl_at"] is None
        assert (await client.patch(place, json={}, headers={"if-match": '"1"'})).status_code == 412
        assert [item["name"] for item in (await client.get(PATH)).json()["items"]] == ["handbook"]
        assert (await client.delete(place)).json() == {"source_id": source["source_id"], "documents_deleted": 0}
        assert (await client.get(place)).status_code == 404


async def test_what_documents_are_to_be_like_can_be_changed(api: Api) -> None:
    """Metadata and chunking are replaced; what is left out, or null, stays; other fields cannot be changed."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await made(client, metadata={"team": "law"})
        place = f"{PATH}/{source['source_id']}"
        changed = (await client.patch(place, json={"metadata": {"team": "art"}, "chunking_strategy": "fixed"})).json()
        assert (changed["metadata"], changed["chunking_strategy"]) == ({"team": "art"}, "fixed")
        same = (await client.patch(place, json={"metadata": None, "chunking_strategy": None, "paused": True})).json()
        assert (same["metadata"], same["chunking_strategy"], same["version"]) == ({"team": "art"}, "fixed", 3)
        assert (await client.patch(place, json={"metadata": {}})).json()["metadata"] == {}
        assert (await client.patch(place, json={"location": "https://example.com/"})).status_code == 400


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("s3://open/prefix/reports", "Folders at s3:// need s3fs"),
        ("nowhere://open/x", "no kind of folder called nowhere"),
    ],
)
async def test_a_kind_of_folder_that_cannot_be_read_is_said_at_once(api: Api, location: str, said: str) -> None:
    """An open folder of a kind whose part is not installed: what to install, and who."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        refused = await client.post(PATH, json={"name": "f", "type": "folder", "location": location})
        assert refused.status_code == 409
        assert said in refused.json()["error"]["message"]


async def test_asking_twice_is_one_crawl_and_its_end_is_told(api: Api) -> None:
    """While a crawl waits, asking again gives the same one; what came of it is in the list."""
    tenant_id, key = await api.tenant()
    async with api.client(key) as client:
        source = await made(client, cadence=None)
        place = f"{PATH}/{source['source_id']}"
        asked = [(await client.post(f"{place}/crawl")).json()["crawl_id"] for _ in range(2)]
        assert asked[0] == asked[1]
        clock = SystemClock()
        crawls = Crawls(database=api.database, outbox=Outbox(clock), clock=clock, new_id=new_id)
        assert await crawls.post_due() == 0
        claimed = await crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        failure = {"document": "a.md", "code": "SOURCE_UNAVAILABLE", "message": "It is away."}
        progress = CrawlProgress(counts={"listed": 3, "new": 2, "failed": 1}, failures=[failure])
        await crawls.close(claimed, CrawlState.SUCCEEDED, progress)
        [crawl] = (await client.get(f"{place}/crawls")).json()["items"]
        assert (crawl["state"], crawl["counts"]["new"], crawl["error"]) == ("succeeded", 2, None)
        assert crawl["failures"] == [failure]


@pytest.mark.parametrize(
    ("location", "status"),
    [
        ("file:///srv/open/reports", 201),
        ("file:///srv/open", 201),
        ("file:///etc", 409),
        ("file:///srv/opened", 409),
        ("file:///srv/open/../../etc", 409),
        ("file:///srv/open/%2e%2e/secrets", 409),
        ("simplecache::file:///srv/open", 400),
        ("/etc", 400),
    ],
)
async def test_folders_are_those_that_the_operator_opened(api: Api, location: str, status: int) -> None:
    """A folder is one below an open root, however it is spelled."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        given = {"name": "f", "type": "folder", "location": location}
        assert (await client.post(PATH, json=given)).status_code == status
