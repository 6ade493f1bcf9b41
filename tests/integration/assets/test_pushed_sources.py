"""From a push to the answer: GitHub's request, the sensor's look, Dagster's run, the documents."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from assets.rag.partitions import partition_of
from core.ids import new_id
from stores.buckets import bucket_of
from stores.sql.models import CrawlState
from tests.factories.pushes import HOOK, headers_of, push_body
from tests.fakes.git_server import GitServer, git_server
from tests.integration.assets.batch import Batch
from tests.integration.assets.crawling import crawl, last_crawl, living, tick
from tests.integration.server.running import Api, running, settings_for


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as server:
        monkeypatch.setenv("CODEXOS_EGRESS_ALLOW", server.place)
        monkeypatch.setenv("CODEXOS_GITHUB_URL", server.url)
        yield server


def test_a_push_is_searchable_after_one_run(git: GitServer, stored_batch: Batch) -> None:
    """No cadence and nobody who asks: each push is one crawl, its redelivery none, and another branch none."""
    batch = stored_batch
    git.commit("acme/cranes", {"README.md": b"Cranes lift.", "load.md": b"Four tonnes."})

    async def subscribe(api: Api) -> tuple[int, str, str]:
        tenant_id, key = await api.tenant()
        async with api.client(key) as client:
            body = {"name": "cranes", "type": "github", "location": "acme/cranes"}
            made = (await client.post("/api/v1/rag/sources", json=body)).json()
        return bucket_of(tenant_id), made["source_id"], made["webhook_secret"]

    async def with_api(*sent: tuple[bytes, dict[str, str]]) -> list[httpx.Response]:
        async with running(settings_for(batch.settings.home, None)) as api, api.client() as github:
            where = {"source_id": source_id}
            return [await github.post(HOOK, params=where, content=body, headers=told) for body, told in sent]

    async def begin() -> tuple[int, str, str]:
        async with running(settings_for(batch.settings.home, None)) as api:
            return await subscribe(api)

    def pushed(*deliveries: str, ref: str = "refs/heads/main") -> list[int]:
        body = push_body(ref=ref)
        sent = [(body, headers_of(body, secret, delivery=delivery)) for delivery in deliveries]
        return [answer.status_code for answer in asyncio.run(with_api(*sent))]

    bucket, source_id, secret = asyncio.run(begin())
    assert tick(batch) == []
    first, second = new_id(), new_id()
    assert pushed(first) == [202]
    assert tick(batch) == [partition_of(bucket)]
    assert crawl(batch, bucket).success
    batch.materialize(bucket, documents={"scope": "pending"})
    assert {name: row.revision for name, row in living(batch).items()} == {
        "acme/cranes:README.md": 1, "acme/cranes:load.md": 1
    }  # fmt: skip
    assert (pushed(first), pushed(new_id(), ref="refs/heads/other"), tick(batch)) == ([200], [200], [])

    git.commit("acme/cranes", {"README.md": b"Cranes lift.", "load.md": b"Five tonnes."})
    assert pushed(second, second) == [202, 200]
    assert tick(batch) == [partition_of(bucket)]
    assert crawl(batch, bucket).success
    assert (last_crawl(batch).state, last_crawl(batch).counts["changed"]) == (CrawlState.SUCCEEDED, 1)
    assert {name: row.revision for name, row in living(batch).items()} == {
        "acme/cranes:README.md": 1, "acme/cranes:load.md": 2
    }  # fmt: skip
    assert tick(batch) == []
