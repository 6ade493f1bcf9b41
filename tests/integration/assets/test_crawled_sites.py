"""Pages, sitemaps and repositories are crawled by Dagster runs, answer questions and stay in step with their places."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from sqlalchemy import Update, update

from assets.resources import PlatformResource
from core.ids import TenantId
from stores.buckets import bucket_of
from stores.sql.models import CrawlState, DocumentRow, DocumentStatus, JobRow, JobStatus, SourceRow
from tests.factories.posting import Poster
from tests.fakes.git_server import GitServer, git_server
from tests.fakes.website import Answer, Asked, Website, answer, website_beside
from tests.integration.assets.batch import Batch
from tests.integration.assets.crawling import ask_again, crawl, last_crawl, living, source, tick
from tests.integration.server.running import running, settings_for

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Website]:
    """Yield a site that the operator allows, before settings are read."""
    with website_beside() as site:
        monkeypatch.setenv("CODEXOS_EGRESS_ALLOW", site.place)
        yield site


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as server:
        monkeypatch.setenv("CODEXOS_EGRESS_ALLOW", server.place)
        monkeypatch.setenv("CODEXOS_GITHUB_URL", server.url)
        yield server


def page(text: str, etag: str = "") -> Answer:
    """Return a page that is sent again only to those who have another one."""
    html = f"<html><body><nav>Home</nav><main><p>{text}</p></main></body></html>"

    def said(asked: Asked) -> bytes:
        if etag and asked.headers.get("if-none-match") == etag:
            return answer(status=304, etag=etag)
        return answer(html, content_type="text/html", **({"etag": etag} if etag else {}))

    return said


def sitemap(site: Website, modified: Mapping[str, str]) -> bytes:
    """Return a sitemap of paths and when each was modified, if that is known."""
    entries = (
        f"<url><loc>{site.url}{path}</loc>{f'<lastmod>{day}</lastmod>' if day else ''}</url>"
        for path, day in modified.items()
    )
    return answer(f'<?xml version="1.0"?><urlset {NAMESPACE}>{"".join(entries)}</urlset>')


def crawled(batch: Batch, tenant_id: TenantId, *, indexed: bool = False) -> dict[str, int]:
    """Crawl what is due, or else everything; index what that brought if asked to; return the crawl's counts."""
    if not tick(batch):
        ask_again(batch)
    assert crawl(batch, bucket_of(tenant_id)).success
    if indexed:
        batch.materialize(bucket_of(tenant_id), documents={"scope": "pending"})
    return {name: count for name, count in last_crawl(batch).counts.items() if count}


def found(batch: Batch, tenant_id: TenantId, question: str) -> dict[str, str]:
    """Ask through the API; return the texts of the answers by their documents' names."""

    async def ask() -> dict[str, str]:
        home = batch.settings.home
        async with running(settings_for(home, None)) as api, api.client(await api.key(tenant_id)) as client:
            response = await client.post("/api/v1/rag/query", json={"query": question, "limit": 50})
            assert response.status_code == 200, response.text
            return {each["metadata"]["source"]: each["content"] for each in response.json()["results"]}

    return asyncio.run(ask())


def test_a_site_is_searched_and_kept_in_step(site: Website, stored_batch: Batch) -> None:
    """Every change a site can make between two crawls: each page costs what it must, and answers follow the site."""
    batch = Batch(stored_batch.instance, PlatformResource())  # with the real parser, which leaves out navigation
    tenant_id = batch.tenant()
    paths = {f"/{name}": "2026-01-01" for name in ("changed", "gone", "kept", "broken", "a", "b", "c")}
    site.pages = {path: page(f"The page {path[1:]} speaks of cranes.") for path in paths}
    site.pages |= {
        "/asked": page("Nobody says when asked was modified.", '"1"'),
        "/plain": page("Nobody says anything about plain."),
        "/private": page("Not for robots."),
        "/robots.txt": answer("User-agent: *\nDisallow: /private\n"),
    }
    undated = {"/asked": "", "/plain": "", "/private": ""}
    site.pages["/sitemap.xml"] = sitemap(site, {**paths, **undated})
    source(batch, tenant_id, f"{site.url}/sitemap.xml", type="sitemap")
    assert crawled(batch, tenant_id, indexed=True) == {"listed": 9, "new": 9}
    assert {row.status for row in living(batch).values()} == {DocumentStatus.INDEXED}
    answers = found(batch, tenant_id, "cranes")
    assert answers[f"{site.url}/gone"] == "The page gone speaks of cranes."
    assert f"{site.url}/private" not in answers

    site.asked.clear()
    site.pages |= {
        "/changed": page("The page changed speaks of bridges."),
        "/gone": answer("", 404),
        "/broken": answer("", 503),
        "/new": page("A new page about bridges."),
    }
    paths |= {"/changed": "2026-02-02", "/broken": "2026-02-02", "/new": "2026-02-02"}
    del paths["/gone"]
    site.pages["/sitemap.xml"] = sitemap(site, {**paths, **undated})
    assert crawled(batch, tenant_id, indexed=True) == {
        "listed": 9, "new": 1, "changed": 1, "unchanged": 6, "deleted": 1, "failed": 1
    }  # fmt: skip
    # Pages whose date says that they are as they were are not asked for; one with an ETag is not sent again.
    assert sorted(asked.path for asked in site.asked if asked.path.count(".") == 0) == [
        "/asked", "/broken", "/changed", "/new", "/plain"
    ]  # fmt: skip
    assert [asked.headers.get("if-none-match") for asked in site.asked if asked.path == "/asked"] == ['"1"']
    [failure] = last_crawl(batch).failures or []
    assert (failure["document"], failure["code"]) == (f"{site.url}/broken", "SOURCE_UNAVAILABLE")
    assert {row.source: row.revision for row in living(batch).values() if row.revision != 1} == {
        f"{site.url}/changed": 2
    }
    answers = found(batch, tenant_id, "cranes bridges")
    assert f"{site.url}/gone" not in answers
    assert answers[f"{site.url}/changed"] == "The page changed speaks of bridges."
    assert answers[f"{site.url}/broken"] == "The page broken speaks of cranes."
    assert f"{site.url}/new" in answers


@pytest.mark.parametrize(
    ("now", "state", "code"),
    [
        ({"/sitemap.xml": None}, CrawlState.BRAKED, "SOURCE_BRAKED"),
        ({"/sitemap.xml": answer("", 404)}, CrawlState.FAILED, "SOURCE_NOT_FOUND"),
        ({"/sitemap.xml": answer("", 503)}, CrawlState.FAILED, "SOURCE_UNAVAILABLE"),
        ({"/sitemap.xml": answer("<urlset><url><loc>")}, CrawlState.FAILED, "DOCUMENT_UNREADABLE"),
        ({"/robots.txt": answer("User-agent: *\nDisallow: /p\n")}, CrawlState.BRAKED, "SOURCE_BRAKED"),
        ({"/robots.txt": answer("", 503)}, CrawlState.FAILED, "SOURCE_DENIED"),
    ],
    ids=["emptied", "missing", "busy", "cut", "robots", "robots-busy"],
)
def test_a_site_in_trouble_deletes_nothing(
    now: dict[str, bytes | None], state: CrawlState, code: str, site: Website, batch: Batch
) -> None:
    """A listing that is broken, or has lost most of its pages, leaves every document where it is, and says why."""
    tenant_id = batch.tenant()
    paths = {f"/p{number}": "2026-01-01" for number in range(6)}
    site.pages = {path: page(f"This is {path}.") for path in paths}
    site.pages["/sitemap.xml"] = sitemap(site, paths)
    source(batch, tenant_id, f"{site.url}/sitemap.xml", type="sitemap")
    crawled(batch, tenant_id)
    site.pages |= {path: said or sitemap(site, {"/p0": "2026-01-01"}) for path, said in now.items()}
    assert "deleted" not in crawled(batch, tenant_id)
    assert (last_crawl(batch).state, last_crawl(batch).error_code) == (state, code)
    assert len(living(batch)) == 6


def test_a_page_is_fetched_again_only_when_it_has_changed(site: Website, batch: Batch) -> None:
    """Its site says by ETag that it is the same; gone, the crawl fails with the reason and the document stays."""
    tenant_id = batch.tenant()
    site.pages["/manual"] = page("Four tonnes.", '"1"')
    source(batch, tenant_id, f"{site.url}/manual", type="url")
    assert crawled(batch, tenant_id) == {"listed": 1, "new": 1}
    assert crawled(batch, tenant_id) == {"listed": 1, "unchanged": 1}
    site.pages["/manual"] = page("Five tonnes.", '"2"')
    assert crawled(batch, tenant_id) == {"listed": 1, "changed": 1}
    assert crawled(batch, tenant_id) == {"listed": 1, "unchanged": 1}
    asked = [asked.headers.get("if-none-match") for asked in site.asked]
    assert asked == [None, '"1"', '"1"', '"2"']
    site.pages["/manual"] = answer("", 410)
    assert crawled(batch, tenant_id) == {"listed": 1, "failed": 1}
    assert (last_crawl(batch).state, last_crawl(batch).error_code) == (CrawlState.FAILED, "SOURCE_NOT_FOUND")
    assert [row.revision for row in living(batch).values()] == [2]


def test_other_metadata_brings_a_page_that_has_not_changed(site: Website, batch: Batch) -> None:
    """What its documents are to be like is the source's business: then the page is asked for whole."""
    tenant_id = batch.tenant()
    site.pages["/manual"] = page("Four tonnes.", '"1"')
    source_id = source(batch, tenant_id, f"{site.url}/manual", type="url")
    crawled(batch, tenant_id)
    change(batch, update(SourceRow).where(SourceRow.id == source_id).values(user_metadata={"team": "lifting"}))
    assert crawled(batch, tenant_id) == {"listed": 1, "changed": 1}
    assert site.asked[-1].headers.get("if-none-match") is None
    assert [row.user_metadata["team"] for row in living(batch).values()] == ["lifting"]


def test_a_document_that_was_touched_by_hand_is_still_the_sources(site: Website, batch: Batch) -> None:
    """Reprocessed from its address, it has no fingerprint any more; the next crawls know it all the same."""
    tenant_id = batch.tenant()
    paths = {f"/p{number}": "2026-01-01" for number in range(6)}
    site.pages = {path: page(f"This is {path}.") for path in paths}
    site.pages["/sitemap.xml"] = sitemap(site, paths)
    source(batch, tenant_id, f"{site.url}/sitemap.xml", type="sitemap")
    crawled(batch, tenant_id)
    reprocess(batch, tenant_id, next(iter(living(batch).values())).id)
    del paths["/p0"]
    site.pages["/sitemap.xml"] = sitemap(site, paths)
    assert crawled(batch, tenant_id)["deleted"] == 1
    assert len(living(batch)) == 5


def test_a_repository_is_searched_and_kept_in_step(git: GitServer, batch: Batch) -> None:
    """A folder of a branch, file by file: by git's own hashes only what changed is done again."""
    tenant_id = batch.tenant()
    files = {f"docs/{number}.md": b"File %d about cranes." % number for number in range(6)}
    git.commit("acme/cranes", {**files, "README.md": b"Outside."})
    source(batch, tenant_id, "acme/cranes@main:docs", type="github")
    assert crawled(batch, tenant_id, indexed=True) == {"listed": 6, "new": 6}
    assert found(batch, tenant_id, "cranes")["acme/cranes:docs/3.md"] == "File 3 about cranes."
    assert crawled(batch, tenant_id) == {"listed": 6, "unchanged": 6}
    del files["docs/0.md"]
    commit = git.commit("acme/cranes", {**files, "docs/1.md": b"All about bridges.", "docs/new.md": b"New."})
    assert crawled(batch, tenant_id, indexed=True) == {
        "listed": 6,
        "new": 1,
        "changed": 1,
        "unchanged": 4,
        "deleted": 1,
    }
    answers = found(batch, tenant_id, "cranes bridges")
    assert (answers["acme/cranes:docs/1.md"], "acme/cranes:docs/0.md" in answers) == ("All about bridges.", False)
    changed = living(batch)["acme/cranes:docs/1.md"]
    assert (changed.revision, changed.user_metadata["uri"]) == (
        2, f"{git.url}/acme/cranes/blob/{commit}/docs/1.md"
    )  # fmt: skip
    git.repositories.clear()
    assert crawled(batch, tenant_id) == {}
    assert (last_crawl(batch).state, last_crawl(batch).error_code) == (CrawlState.FAILED, "SOURCE_NOT_FOUND")
    assert len(living(batch)) == 6


def change(batch: Batch, statement: Update) -> None:
    async def execute(poster: Poster) -> None:
        async with poster.database.transaction() as session:
            await session.execute(statement)

    batch.run(execute)


def reprocess(batch: Batch, tenant_id: TenantId, document_id: str) -> None:
    """Ask for it through the API, which wants the document to have been indexed."""
    for model, status in ((DocumentRow, DocumentStatus.INDEXED), (JobRow, JobStatus.SUCCEEDED)):
        change(batch, update(model).values(status=status))

    async def ask() -> None:
        home = batch.settings.home
        async with running(settings_for(home, None)) as api, api.client(await api.key(tenant_id)) as client:
            response = await client.post(f"/api/v1/rag/documents/{document_id}/reprocess")
            assert response.status_code == 202, response.text

    asyncio.run(ask())
