"""A page is posted by its URL, fetched by the worker, and asked for again only if it may have changed."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.website import Asked, Website, answer, redirect, website
from tests.integration.server.running import Api, running, settings_for

INGEST, DOCUMENTS = "/api/v1/rag/ingest", "/api/v1/rag/documents"


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with website({"/page": answer("A page about cranes.\n\nThey lift.", etag='"1"')}) as site:
        yield site


@pytest.fixture
async def api(database_url: str, tmp_path: Path, site: Website) -> AsyncIterator[Api]:
    settings = settings_for(
        tmp_path, database_url, egress_allow=site.place, max_upload_bytes=20_000, job_max_attempts=1
    )
    async with running(settings) as api:
        yield api


async def ingested(api: Api, client: httpx.AsyncClient, url: str, **more: Any) -> dict[str, Any]:
    """Post `url`, do the worker's work, and return the document."""
    posted = await client.post(INGEST, json={"source_type": "url", "source": url, **more})
    assert posted.status_code == 202, posted.text
    await api.work()
    document: dict[str, Any] = (await client.get(f"{DOCUMENTS}/{posted.json()['document_id']}")).json()
    return document


async def found(client: httpx.AsyncClient, query: str) -> list[str]:
    answered = await client.post("/api/v1/rag/query", json={"query": query})
    return [hit["content"] for hit in answered.json()["results"]]


async def test_page_is_fetched_by_the_worker_and_found(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """The request itself goes nowhere; once the worker was there, the page answers questions under its URL."""
    posted = await client.post(INGEST, json={"source_type": "url", "source": f"{site.url}/page"})
    assert (posted.status_code, site.connections) == (202, 0)
    await api.work()
    document = (await client.get(f"{DOCUMENTS}/{posted.json()['document_id']}")).json()
    shown = {name: document[name] for name in ("status", "source", "source_type", "external_id", "error")}
    assert shown == {
        "status": "indexed",
        "source": f"{site.url}/page",
        "source_type": "url",
        "external_id": f"{site.url}/page",
        "error": None,
    }
    assert "cranes" in " ".join(await found(client, "cranes"))
    listed = (await client.get(DOCUMENTS, params={"source_type": "url"})).json()
    assert listed["total"] == 1


async def test_form_may_name_a_url_too(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """The reference's multipart form with source_type url works like JSON."""
    form = {"source_type": (None, "url"), "source": (None, f"{site.url}/page")}
    posted = await client.post(INGEST, files=form)
    assert posted.status_code == 202, posted.text
    await api.work()
    assert (await client.get(f"{DOCUMENTS}/{posted.json()['document_id']}")).json()["status"] == "indexed"


async def test_unchanged_page_is_not_sent_again(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """Posted again, the page is asked for with its ETag; 304 finishes the revision with the bytes that are here."""

    def page(asked: Asked) -> bytes:
        if asked.headers.get("if-none-match") == '"1"':
            return b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
        return answer("A page about cranes.", etag='"1"', last_modified="Mon, 23 Nov 2026 04:00:00 GMT")

    site.pages["/page"] = page
    first = await ingested(api, client, f"{site.url}/page")
    again = await ingested(api, client, f"{site.url}/page", metadata={"seen": "twice"})
    assert (again["document_id"], again["revision"], again["status"]) == (first["document_id"], 2, "indexed")
    assert [asked.headers.get("if-modified-since") for asked in site.asked] == [None, "Mon, 23 Nov 2026 04:00:00 GMT"]
    third = await ingested(api, client, f"{site.url}/page")
    assert (third["revision"], third["chunk_count"], site.asked[-1].headers["if-none-match"]) == (3, 1, '"1"')
    assert await found(client, "cranes") == ["A page about cranes."]


async def test_changed_page_replaces_what_it_was(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """A new ETag brings new bytes, and nothing of the old page answers any more."""
    await ingested(api, client, f"{site.url}/page")
    site.pages["/page"] = answer("A page about ships.", etag='"2"')
    await ingested(api, client, f"{site.url}/page")
    assert await found(client, "cranes ships") == ["A page about ships."]


async def test_reprocessing_needs_no_site(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """The bytes were kept: indexing the revision anew does not ask for them."""
    document = await ingested(api, client, f"{site.url}/page")
    asked = len(site.asked)
    await client.post(f"{DOCUMENTS}/{document['document_id']}/reprocess")
    await api.work()
    after = (await client.get(f"{DOCUMENTS}/{document['document_id']}")).json()
    assert (after["status"], after["revision"], len(site.asked)) == ("indexed", 1, asked)


async def test_failed_fetch_can_be_tried_again(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """What was not there can be reprocessed once it is."""
    missing = await ingested(api, client, f"{site.url}/later")
    assert missing["error"]["code"] == "SOURCE_NOT_FOUND"
    site.pages["/later"] = answer("It is there now.")
    await client.post(f"{DOCUMENTS}/{missing['document_id']}/reprocess")
    await api.work()
    assert (await client.get(f"{DOCUMENTS}/{missing['document_id']}")).json()["status"] == "indexed"


@pytest.mark.parametrize(
    ("page", "code", "says"),
    [
        (answer("gone", 410), "SOURCE_NOT_FOUND", "410"),
        (answer("who are you", 401), "SOURCE_DENIED", "without a login"),
        (answer("odd", 418), "SOURCE_DENIED", "418"),
        (answer("busy", 503), "SOURCE_UNAVAILABLE", "503"),
        (answer("busy", 429), "SOURCE_UNAVAILABLE", "429"),
        (answer("x" * 30_000), "DOCUMENT_TOO_LARGE", "KiB"),
        (answer(gzip.compress(b"x" * 30_000), content_encoding="gzip"), "DOCUMENT_TOO_LARGE", "KiB"),
        (answer(""), "EMPTY_DOCUMENT", "empty"),
        (answer("%broken%"), "DOCUMENT_UNREADABLE", "damaged"),
        (b"SSH-2.0-OpenSSH\r\n", "SOURCE_UNAVAILABLE", "HTTP"),
        (redirect("http://169.254.169.254/latest/meta-data"), "EGRESS_BLOCKED", "link-local"),
        (redirect("/page/again"), "SOURCE_NOT_FOUND", "404"),
    ],
)
async def test_what_cannot_be_fetched_fails_with_a_sentence(
    api: Api, client: httpx.AsyncClient, site: Website, page: bytes, code: str, says: str
) -> None:
    """The job and the document say what is wrong, in the words of whoever has to act."""
    site.pages["/bad"] = page
    document = await ingested(api, client, f"{site.url}/bad")
    assert (document["status"], document["error"]["code"]) == ("failed", code)
    assert says in document["error"]["message"]
    assert document["error"]["message"].endswith(".")


async def test_inner_addresses_are_refused(api: Api, client: httpx.AsyncClient, site: Website) -> None:
    """What the allowance does not name is not connected to, and the document says so."""
    document = await ingested(api, client, f"http://127.0.0.1:{site.port + 1}/")
    assert (document["status"], document["error"]["code"]) == ("failed", "EGRESS_BLOCKED")


@pytest.mark.parametrize(
    "source",
    ["", "page", "ftp://a.test/", "https://", "https://user:pw@a.test/", "https://a.test/ b", "https://ä.test/",
     "https://a.test\\@b.test/", "https://a.test/\n", "javascript:alert(1)", "https://a.test/" + "a" * 1000],
)  # fmt: skip
async def test_what_is_no_url_is_refused_at_the_door(client: httpx.AsyncClient, source: str) -> None:
    """400 points at the source before anything is stored."""
    refused = await client.post(INGEST, json={"source_type": "url", "source": source})
    assert refused.status_code == 400
    assert [violation["pointer"] for violation in refused.json()["error"]["details"]["violations"]] == ["/source"]
