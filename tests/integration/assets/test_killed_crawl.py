"""Runs that crawl, and workers that expand repositories, are killed in the middle: others go on where they were."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.ids import TenantId
from pipelines.streams.ingest_lane import work_off
from stores.buckets import bucket_of
from stores.job_keeper import keep
from stores.sql.models import CrawlState, JobKind, JobStatus, Lane
from tests.fakes.git_server import GitServer, git_server
from tests.fakes.nursery import Nursery
from tests.fakes.website import Website, answer, website_beside
from tests.integration.assets.batch import Batch
from tests.integration.assets.crawling import ask_again, crawl, last_crawl, let_crawl_leases_end, living, source, tick
from tests.integration.server.running import running, settings_for


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    with website_beside() as site:
        monkeypatch.setenv("CODEXOS_EGRESS_ALLOW", site.place)
        yield site


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as server:
        monkeypatch.setenv("CODEXOS_EGRESS_ALLOW", server.place)
        monkeypatch.setenv("CODEXOS_GITHUB_URL", server.url)
        monkeypatch.setenv("CODEXOS_SWEEP_AFTER_SECONDS", "0.01")
        yield server


def killed(nursery: Nursery, work: str, point: str, time: int) -> None:
    """Do `work` in a process of its own until it is killed at the point."""
    done = nursery.begin("tests.fakes.doomed_crawl", work, point, str(time))
    assert nursery.ended(done) == -signal.SIGKILL, nursery.log.read_text()


def show(site: Website, pages: range) -> None:
    """Let the site have these pages, none of which says when it was modified."""
    places = "".join(f"<url><loc>{site.url}/{number:02d}</loc></url>" for number in pages)
    site.pages = {f"/{number:02d}": answer(f"Page {number} of the handbook.") for number in pages}
    site.pages["/sitemap.xml"] = answer(f"<urlset>{places}</urlset>")
    site.asked.clear()


def fetched(site: Website) -> Counter[str]:
    return Counter(asked.path for asked in site.asked if not asked.path.endswith((".xml", ".txt")))


def test_killed_crawls_go_on_from_their_cursor(site: Website, batch: Batch, nursery: Nursery) -> None:
    """kill -9 four times: nothing lost, doubled or miscounted, and only what was not committed is fetched again."""
    tenant_id = batch.tenant(bucket=3)
    show(site, range(90))
    source(batch, tenant_id, f"{site.url}/sitemap.xml", type="sitemap", max_delete_fraction=0.5)
    tick(batch)
    killed(nursery, "3", "documents written, not committed", 2)
    assert (last_crawl(batch).counts["new"], len(living(batch))) == (20, 20)
    let_crawl_leases_end(batch)
    killed(nursery, "3", "committed", 2)
    assert (last_crawl(batch).counts["new"], len(living(batch))) == (60, 60)
    let_crawl_leases_end(batch)
    crawl(batch, bucket_of(tenant_id))
    assert last_crawl(batch).state == CrawlState.SUCCEEDED
    assert {name: count for name, count in last_crawl(batch).counts.items() if count} == {"listed": 90, "new": 90}
    assert sorted(fetched(site).values()) == [1] * 70 + [2] * 20

    show(site, range(50))
    ask_again(batch)
    killed(nursery, "3", "documents retired, not committed", 2)
    assert len(living(batch)) == 70
    let_crawl_leases_end(batch)
    killed(nursery, "3", "before closing", 1)
    let_crawl_leases_end(batch)
    crawl(batch, bucket_of(tenant_id))
    assert {name: count for name, count in last_crawl(batch).counts.items() if count} == {
        "listed": 50, "unchanged": 50, "deleted": 40
    }  # fmt: skip
    assert sorted(fetched(site).values()) == [1] * 50
    assert (len(living(batch)), len(batch.documents())) == (50, 90)
    assert batch.events()["rag.document.deleted"] == 40
    assert set(Counter(job.document_id for job in batch.jobs() if job.kind == JobKind.INGEST).values()) == {1}
    batch.materialize(3, documents={"scope": "pending"})
    assert batch.stored_chunks(tenant_id) == {row.id: 1 for row in living(batch).values()}


async def work_off_everything(batch: Batch) -> None:
    async with batch.platform.ingestion() as ingestion, asyncio.timeout(120):
        writer = replace(ingestion.writer, lane=Lane.STREAM)
        while await ingestion.letterbox.open_jobs():
            for lane in (Lane.FETCH, Lane.STREAM):
                jobs = await ingestion.letterbox.claim("alive", lane, limit=32)
                async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
                    await work_off(ingestion.tools, writer, jobs, kept)


def posted(batch: Batch, tenant_id: TenantId, repository: str) -> str:
    """Post a repository through the API; return its job."""

    async def post() -> str:
        settings = settings_for(batch.settings.home, None)
        async with running(settings) as api, api.client(await api.key(tenant_id)) as client:
            said = {"source_type": "github", "source": repository}
            accepted = await client.post("/api/v1/rag/ingest", json=said)
            assert accepted.status_code == 202, accepted.text
            job_id: str = accepted.json()["job_id"]
            return job_id

    return asyncio.run(post())


@pytest.mark.parametrize("lane", [Lane.BATCH, pytest.param(Lane.STREAM, marks=pytest.mark.slow)])
def test_a_killed_expansion_is_gone_on_with(lane: Lane, git: GitServer, batch: Batch, nursery: Nursery) -> None:
    """kill -9 twice while a repository becomes documents: either lane ends it, each file once, and the job says so."""
    tenant_id = batch.tenant(bucket=3)
    names = [f"acme/many:{number:03}.md" for number in range(120)]
    git.commit("acme/many", {name.partition(":")[2]: f"File {name}.".encode() for name in names})
    job_id = posted(batch, tenant_id, "acme/many")
    killed(nursery, "fetch", "one document of a transaction", 70)
    assert len(batch.documents()) == 1 + 50
    batch.let_leases_end()
    killed(nursery, "fetch", "committed", 1)
    assert len(batch.documents()) == 1 + 100
    batch.let_leases_end()
    if lane is Lane.STREAM:
        asyncio.run(work_off_everything(batch))
    else:
        batch.let_wait()
        batch.materialize(3, documents={"scope": "pending"})
        batch.materialize(3, documents={"scope": "pending"})  # what the first one posted
    [parent] = [job for job in batch.jobs() if job.id == job_id]
    files = [row for row in batch.documents().values() if row.id != parent.document_id]
    assert sorted(row.external_id or "" for row in files) == names
    assert (parent.status, parent.finished_by) == (JobStatus.SUCCEEDED, lane)
    assert {name: parent.progress[name] for name in ("documents", "changed", "unchanged", "deleted", "skipped")} == {
        "documents": 120, "changed": 120, "unchanged": 0, "deleted": 0, "skipped": 0
    }  # fmt: skip
    assert Counter(job.document_id for job in batch.jobs()).most_common(1)[0][1] == 1
    chunks = batch.stored_chunks(tenant_id)
    assert {row.id: chunks.get(row.id) for row in files} == {row.id: 1 for row in files}
