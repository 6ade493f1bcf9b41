"""A repository is posted once and becomes a document a file, kept in step with it by fingerprints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from core.errors import LeaseLost
from pipelines.ingest import fetch
from stores.sql.models import DocumentRow, JobRow, Lane
from tests.fakes.git_server import GitServer, git_server
from tests.integration.server.running import Api, running, settings_for

INGEST, DOCUMENTS, QUERY = "/api/v1/rag/ingest", "/api/v1/rag/documents", "/api/v1/rag/query"
FILES = {"README.md": b"Cranes lift.", "docs/load.md": b"Four tonnes.", "docs/reach.md": b"Ten metres."}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as server:
        yield server


@pytest.fixture
async def api(database_url: str, tmp_path: Path, server: GitServer) -> Any:
    settings = settings_for(
        tmp_path, database_url, egress_allow=server.place, github_url=server.url, job_max_attempts=1
    )
    async with running(settings) as api:
        yield api


async def posted(api: Api, client: httpx.AsyncClient, source: str, **more: Any) -> dict[str, Any]:
    """Post `source`, do the worker's work, and return the job."""
    accepted = await client.post(INGEST, json={"source_type": "github", "source": source, **more})
    assert accepted.status_code == 202, accepted.text
    await api.work()
    job: dict[str, Any] = (await client.get(f"/api/v1/rag/jobs/{accepted.json()['job_id']}")).json()
    return job


async def files(client: httpx.AsyncClient, **more: str) -> dict[str, dict[str, Any]]:
    """Return the documents that stand for files, by external id."""
    items = (await client.get(DOCUMENTS, params={"source_type": "github", "limit": 100, **more})).json()["items"]
    return {item["external_id"]: item for item in items if ":" in item["external_id"] and item["chunk_count"]}


def counts(job: dict[str, Any]) -> dict[str, int]:
    return {name: job["progress"][name] for name in ("documents", "changed", "unchanged", "deleted", "skipped")}


async def test_repository_becomes_a_document_a_file(api: Api, client: httpx.AsyncClient, server: GitServer) -> None:
    """Each has its own name, metadata and chunks, and the job that was posted tells what it found."""
    commit = server.commit("acme/cranes", FILES)
    job = await posted(api, client, "acme/cranes", metadata={"team": "lifting"})
    assert job["status"] == "succeeded", job
    assert counts(job) == {"documents": 3, "changed": 3, "unchanged": 0, "deleted": 0, "skipped": 0}
    documents = await files(client)
    assert sorted(documents) == [f"acme/cranes:{path}" for path in sorted(FILES)]
    load = documents["acme/cranes:docs/load.md"]
    assert (load["status"], load["revision"]) == ("indexed", 1)
    assert load["metadata"] == {
        "team": "lifting",
        "repository": "acme/cranes",
        "path": "docs/load.md",
        "commit": commit,
        "url": f"{server.url}/acme/cranes/blob/{commit}/docs/load.md",
    }
    answer = (await client.post(QUERY, json={"query": "tonnes", "limit": 1})).json()["results"][0]
    assert (answer["content"], answer["metadata"]["source"]) == ("Four tonnes.", "acme/cranes:docs/load.md")


async def test_posted_again_only_what_changed_is_done_again(
    api: Api, client: httpx.AsyncClient, server: GitServer
) -> None:
    """A changed file is a new revision, a new one a document, a missing one is deleted, the rest is left alone."""
    server.commit("acme/cranes", FILES)
    await posted(api, client, "acme/cranes")
    server.commit("acme/cranes", {"README.md": b"Cranes lift.", "docs/load.md": b"Five tonnes.", "new.md": b"New."})
    job = await posted(api, client, "acme/cranes")
    assert counts(job) == {"documents": 3, "changed": 2, "unchanged": 1, "deleted": 1, "skipped": 0}
    revisions = {name: document["revision"] for name, document in (await files(client)).items()}
    assert revisions == {"acme/cranes:README.md": 1, "acme/cranes:docs/load.md": 2, "acme/cranes:new.md": 1}
    found = (await client.post(QUERY, json={"query": "tonnes metres"})).json()["results"]
    texts = [result["content"] for result in found]
    assert "Five tonnes." in texts
    assert {"Four tonnes.", "Ten metres."} & set(texts) == set()


async def test_a_folder_leaves_the_rest_of_the_repository_alone(
    api: Api, client: httpx.AsyncClient, server: GitServer
) -> None:
    """Only what lies under the path was looked at, so nothing else can be missing."""
    server.commit("acme/cranes", FILES)
    await posted(api, client, "acme/cranes")
    server.commit("acme/cranes", {"docs/load.md": b"Four tonnes."})
    job = await posted(api, client, "acme/cranes:docs")
    assert counts(job) == {"documents": 1, "changed": 0, "unchanged": 1, "deleted": 1, "skipped": 0}
    assert sorted(await files(client)) == ["acme/cranes:README.md", "acme/cranes:docs/load.md"]


async def test_other_metadata_is_a_change(api: Api, client: httpx.AsyncClient, server: GitServer) -> None:
    """What the documents were to be like is part of their fingerprint."""
    server.commit("acme/cranes", FILES)
    await posted(api, client, "acme/cranes")
    assert counts(await posted(api, client, "acme/cranes", metadata={"a": 1}))["changed"] == 3


async def test_failing_to_clone_changes_nothing(api: Api, client: httpx.AsyncClient, server: GitServer) -> None:
    """A repository that has gone, or has nothing in it, deletes no document."""
    server.commit("acme/cranes", FILES)
    await posted(api, client, "acme/cranes")
    repository = server.repositories.pop("/acme/cranes.git")
    job = await posted(api, client, "acme/cranes")
    assert (job["status"], job["error"]["code"]) == ("failed", "SOURCE_NOT_FOUND")
    server.repositories["/acme/cranes.git"] = repository
    server.commit("acme/cranes", {})
    job = await posted(api, client, "acme/cranes")
    assert (job["status"], job["error"]["code"]) == ("failed", "SOURCE_NOT_FOUND")
    assert len(await files(client)) == 3


async def test_who_has_lost_the_job_writes_nothing(api: Api, client: httpx.AsyncClient, server: GitServer) -> None:
    """A worker that stood still while another took over would bring old commits back: it writes nothing."""
    server.commit("acme/cranes", FILES)
    await client.post(INGEST, json={"source_type": "github", "source": "acme/cranes"})
    tools, writer = api.lane()
    [slow] = await writer.letterbox.claim("slow", Lane.FETCH, limit=1)
    async with api.database.transaction() as session:
        await session.execute(update(JobRow).values(available_at=JobRow.created_at))
    [_] = await writer.letterbox.claim("quick", Lane.FETCH, limit=1)
    [parent] = (await tools.documents.revisions([slow])).values()
    with pytest.raises(LeaseLost):
        await tools.expansion.expand(slow, parent)
    [work] = await fetch(tools, [slow])
    assert (await writer.commit([work])).lost == 1
    async with api.database.reading() as session:
        assert list(await session.scalars(select(DocumentRow.id))) == [parent.document_id]


@pytest.mark.parametrize("source", ["acme", "acme/", "https://github.com/a/b", "a/b@--upload-pack=x", "-a/b", "a/b/c"])
async def test_what_is_no_repository_is_refused_at_the_door(client: httpx.AsyncClient, source: str) -> None:
    """400 points at the source before anything is stored."""
    refused = await client.post(INGEST, json={"source_type": "github", "source": source})
    assert refused.status_code == 400
    assert [violation["pointer"] for violation in refused.json()["error"]["details"]["violations"]] == ["/source"]
