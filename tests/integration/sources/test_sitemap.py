"""A sitemap's pages as a source: bounded, of one site, and as robots.txt permits."""

import gzip
from collections.abc import AsyncIterator

import pytest

from core.errors import (
    DocumentTooLarge,
    DocumentUnreadable,
    SourceDenied,
    SourceNotFound,
    SourceUnavailable,
    UnsupportedFormat,
)
from pipelines.document import SourceFile
from pipelines.sources.base import Item, Source
from pipelines.sources.page import OnePage
from pipelines.sources.robots import Robots
from pipelines.sources.sitemap import Sitemap
from pipelines.sources.web import WebPages
from stores.egress import Allowance, Egress
from tests.fakes.website import Website, answer, website

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    async with website() as site:
        yield site


def sitemap(site: Website, path: str = "/sitemap.xml", **more: int) -> Sitemap:
    egress = Egress(allow=Allowance.of([site.place]))
    pages = WebPages(egress, max_bytes=100_000)
    return Sitemap(url=site.url + path, egress=egress, pages=pages, robots=Robots(egress), **more)


def urlset(*entries: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><urlset {NAMESPACE}>{"".join(entries)}</urlset>'.encode()


def entry(url: str, modified: str = "") -> str:
    return f"<url><loc> {url} </loc>{f'<lastmod>{modified}</lastmod>' if modified else ''}</url>"


async def fetched(source: Source, item: Item) -> SourceFile:
    got = await source.fetch(item, {})
    assert got is not None
    return got.file


async def listed(source: Sitemap) -> dict[str, str]:
    return {item.external_id: item.fingerprint for item in (await source.list(None)).items}


async def test_pages_are_listed_and_fetched(site: Website) -> None:
    """Each page's name is its URL; its fingerprint changes with its lastmod, and is empty where there is none."""
    site.pages["/a"] = answer("Page a.")
    site.pages["/sitemap.xml"] = answer(
        urlset(entry(f"{site.url}/a", "2026-01-01"), entry(f"{site.url}/b?x=1&amp;y=2"))
    )
    source = sitemap(site)
    first = await listed(source)
    assert list(first) == [f"{site.url}/a", f"{site.url}/b?x=1&y=2"]
    assert first[f"{site.url}/b?x=1&y=2"] == ""
    [item, _] = (await source.list(None)).items
    assert (await fetched(source, item)).content == b"Page a."
    site.pages["/sitemap.xml"] = answer(urlset(entry(f"{site.url}/a", "2026-01-02")))
    assert (await listed(sitemap(site)))[f"{site.url}/a"] not in ("", first[f"{site.url}/a"])


async def test_an_index_leads_to_packed_sitemaps(site: Website) -> None:
    """Sitemaps of sitemaps are followed once each, packed or not; one that names itself ends."""
    places = "".join(
        f"<sitemap><loc>{site.url}/{name}</loc></sitemap>" for name in ("one.xml.gz", "two.xml", "sitemap.xml")
    )
    site.pages["/sitemap.xml"] = answer(f"<sitemapindex {NAMESPACE}>{places}</sitemapindex>")
    site.pages["/one.xml.gz"] = answer(gzip.compress(urlset(entry(f"{site.url}/1"))))
    site.pages["/two.xml"] = answer(urlset(entry(f"{site.url}/2")))
    assert list(await listed(sitemap(site))) == [f"{site.url}/1", f"{site.url}/2"]
    with pytest.raises(DocumentTooLarge, match="more than 1 sitemaps"):
        await listed(sitemap(site, max_sitemaps=1))


async def test_other_sites_are_not_followed(site: Website) -> None:
    """A sitemap speaks for its own host: other names, inner addresses above all, and what is no URL are left out."""
    async with website() as other:
        site.pages["/sitemap.xml"] = answer(
            urlset(
                entry(f"{other.url}/a"),
                entry("http://169.254.169.254/"),
                entry("file:///etc/passwd"),
                entry("http://["),
                entry(f"{site.url}/a"),
            )
        )
        assert list(await listed(sitemap(site))) == [f"{site.url}/a"]
        assert other.connections == 0


async def test_robots_are_respected(site: Website) -> None:
    """What robots.txt refuses is neither listed nor fetched; a site that cannot answer is left alone."""
    site.pages["/sitemap.xml"] = answer(urlset(entry(f"{site.url}/open"), entry(f"{site.url}/private/x")))
    site.pages["/robots.txt"] = answer("User-agent: *\nDisallow: /private\n")
    source = sitemap(site)
    assert list(await listed(source)) == [f"{site.url}/open"]
    with pytest.raises(SourceDenied, match="robots"):
        await source.fetch(Item(external_id="x", uri=f"{site.url}/private/x", fingerprint=""), {})
    assert len([asked for asked in site.asked if asked.path == "/robots.txt"]) == 1
    site.pages["/robots.txt"] = answer("broken", 503)
    with pytest.raises(SourceDenied, match="robots"):
        await listed(sitemap(site))


async def test_what_is_no_sitemap_is_said_so(site: Website) -> None:
    """Missing, broken, cut, a bomb of entities or of gzip, or with too many pages: each has its sentence."""
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + urlset(entry("&b;"))
    site.pages |= {
        "/html": answer("<html><body>Not found"),
        "/cut": answer(urlset(entry(f"{site.url}/a"))[:-5]),
        "/gz": answer(gzip.compress(urlset())[:20]),
        "/entities": answer(bomb),
        "/utf16": answer(bomb.decode().replace("UTF-8", "UTF-16").encode("utf-16")),
        "/packed": answer(gzip.compress(b"<urlset>" + b" " * 60_000_000)),
        "/many": answer(urlset(*(entry(f"{site.url}/{number}") for number in range(11)))),
        "/busy": answer("", 503),
    }
    for path, failure in {
        "/nothing": SourceNotFound,
        "/html": DocumentUnreadable,
        "/cut": DocumentUnreadable,
        "/gz": DocumentUnreadable,
        "/entities": UnsupportedFormat,
        "/utf16": UnsupportedFormat,
        "/packed": DocumentTooLarge,
        "/many": DocumentTooLarge,
        "/busy": SourceUnavailable,
    }.items():
        with pytest.raises(failure):
            await listed(sitemap(site, path, max_pages=10))


async def test_one_page_is_a_source_of_one(site: Website) -> None:
    """It is listed without a fingerprint: only asking tells whether it has changed."""
    site.pages["/a.md"] = answer("# A")
    source = OnePage(url=f"{site.url}/a.md", pages=WebPages(Egress(allow=Allowance.of([site.place])), max_bytes=100))
    [item] = (await source.list(None)).items
    assert (item.external_id, item.fingerprint) == (f"{site.url}/a.md", "")
    file = await fetched(source, item)
    assert (file.name, file.content, file.is_web_page) == ("a.md", b"# A", True)
