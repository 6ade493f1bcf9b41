"""The way out, against a site on loopback that the development allowance permits."""

import asyncio
import gzip
import time
import zlib

import pytest

from stores.egress import Allowance, Egress, Limits, Refused, Resolver, TimedOut, TooMuch, Unreachable
from tests.fakes.resolver import ScriptedResolver
from tests.fakes.website import Website, answer, redirect, website


def egress(*sites: Website, resolver: Resolver | None = None) -> Egress:
    return Egress(allow=Allowance.of([site.place for site in sites]), resolver=resolver)


async def test_a_page_comes_as_it_is_sent() -> None:
    """Status, headers and body arrive; the site sees the host it was called by and an agent with our name."""
    async with website({"/a?b=c": answer("Hello", etag='"1"')}) as site:
        got = await egress(site, resolver=ScriptedResolver({"site.test": [["127.0.0.1"]]})).fetch(
            f"http://site.test:{site.port}/a?b=c#part"
        )
        assert (got.status, got.content, got.headers["etag"]) == (200, b"Hello", '"1"')
        assert site.asked[0].headers["host"] == f"site.test:{site.port}"
        assert site.asked[0].headers["user-agent"].startswith("CodexOS")


async def test_without_an_allowance_nobody_comes() -> None:
    """The same address is refused when nothing permits it, or when another port is permitted."""
    async with website({"/": answer("Hello")}) as site:
        for allow in (Allowance(), Allowance.of([f"127.0.0.1:{site.port + 1}"])):
            with pytest.raises(Refused, match="loopback"):
                await Egress(allow=allow).fetch(site.url + "/")
        assert site.connections == 0


async def test_redirects_are_followed_and_counted() -> None:
    """Five are followed, relative ones too; the sixth is one too many."""
    pages = {f"/{step}": redirect(f"{step + 1}") for step in range(6)} | {"/6": answer("end")}
    async with website(pages) as site:
        client = egress(site)
        got = await client.fetch(site.url + "/1")
        assert (got.content, got.url) == (b"end", site.url + "/6")
        with pytest.raises(Refused, match="more than 5 times"):
            await client.fetch(site.url + "/0")


async def test_a_redirect_is_checked_like_an_address_of_the_users_own() -> None:
    """A permitted site cannot send us to one that is not."""
    async with website() as canary, website({"/": lambda _: redirect(canary.url + "/")}) as site:
        with pytest.raises(Refused, match="loopback"):
            await egress(site).fetch(site.url + "/")
        assert canary.connections == 0


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/", "//user:pw@site/", "gopher://x/", "http://[", "\\\\a"]
)
async def test_a_redirect_that_is_no_place_to_go_is_refused(location: str) -> None:
    """Other schemes, users in URLs and rubbish end the fetch with a sentence."""
    async with website({"/": redirect(location)}) as site:
        with pytest.raises(Refused):
            await egress(site).fetch(site.url + "/")
        assert site.connections == 1


async def test_credentials_stay_with_the_origin_they_were_meant_for() -> None:
    """A redirect to another origin carries no header that the caller added; one within it carries all."""
    async with website({"/": answer("there")}) as other:
        pages = {"/out": redirect(other.url + "/"), "/in": redirect("/home"), "/home": answer("home")}
        async with website(pages) as site:
            client = egress(site, other)
            headers = {"Authorization": "Bearer x", "X-Api-Key": "y", "Cookie": "z", "Accept": "text/html"}
            await client.fetch(site.url + "/out", headers=headers)
            await client.fetch(site.url + "/in", headers=headers)
        assert {"authorization", "x-api-key", "cookie"} & set(other.asked[0].headers) == set()
        assert other.asked[0].headers["accept"] == "text/html"
        assert site.asked[-1].headers["authorization"] == "Bearer x"


async def test_a_post_is_not_redirected() -> None:
    """What was sent goes to whom it was meant for; the caller sees the redirect itself."""
    async with website({"/": redirect("/other", 307)}) as site:
        got = await egress(site).fetch(site.url + "/", method="POST", content=b"body")
        assert (got.status, site.asked[0].body, site.connections) == (307, b"body", 1)


async def test_cookies_are_not_kept() -> None:
    """What a site sets for one request never comes back with another."""
    async with website({"/": answer("", set_cookie="a=b")}) as site:
        client = egress(site)
        await client.fetch(site.url + "/")
        await client.fetch(site.url + "/")
        assert [asked.headers.get("cookie") for asked in site.asked] == [None, None]


async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name itself, behind every check."""
    async with website() as proxy, website({"/": answer("direct")}) as site:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await egress(site, proxy).fetch(site.url + "/")).content == b"direct"
        assert proxy.connections == 0


async def test_an_answer_that_is_too_long_is_cut_off() -> None:
    """By what it declares, by what it sends, and by what it unpacks to."""
    bomb = gzip.compress(b"\0" * 30_000_000)
    unlabelled = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 2_000_000
    pages = {
        "/declared": answer(b"x" * 2_000_000),
        "/sent": unlabelled,
        "/bomb": answer(bomb, content_encoding="gzip"),
        "/packed": answer(gzip.compress(b"y" * 900_000), content_encoding="gzip"),
    }
    async with website(pages) as site:
        client, limits = egress(site), Limits(max_bytes=1_000_000)
        for path in ("/declared", "/sent", "/bomb"):
            with pytest.raises(TooMuch, match="KiB"):
                await client.fetch(site.url + path, limits=limits)
        assert len((await client.fetch(site.url + "/packed", limits=limits)).content) == 900_000


async def test_an_answer_packed_wrongly_is_said_so() -> None:
    """Truncated, broken or not asked for: a sentence, not a stack trace."""
    pages = {
        "/cut": answer(gzip.compress(b"y" * 90_000)[:50], content_encoding="gzip"),
        "/rubbish": answer(b"nothing packed", content_encoding="gzip"),
        "/zlib": answer(zlib.compress(b"y"), content_encoding="deflate"),
        "/nothing": b"",
    }
    async with website(pages) as site:
        for path in ("/cut", "/rubbish", "/zlib"):
            with pytest.raises(Unreachable):
                await egress(site).fetch(site.url + path)


async def test_headers_without_end_are_cut_off() -> None:
    """A head of a megabyte is not read to its end."""
    async with website({"/": b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n"}) as site:
        with pytest.raises(Unreachable):
            await egress(site).fetch(site.url + "/")


@pytest.mark.parametrize("limits", [Limits(read_seconds=0.2), Limits(seconds=0.2)])
async def test_a_site_that_says_nothing_is_left(limits: Limits) -> None:
    """Each read has its time, and all of them together."""
    async with website({"/": b""}) as site:
        began = time.monotonic()
        with pytest.raises(TimedOut):
            await egress(site).fetch(site.url + "/", limits=limits)
        assert time.monotonic() - began < 5


async def test_a_resolver_that_hangs_is_left() -> None:
    """Looking a name up is part of connecting and ends with it."""

    class Hanging:
        async def resolve(self, host: str, port: int) -> list[object]:
            await asyncio.Event().wait()
            return []

    with pytest.raises(TimedOut):
        await Egress(resolver=Hanging()).fetch("http://site.test/", limits=Limits(connect_seconds=0.2))


async def test_nobody_there_is_said_so() -> None:
    """A closed port and a name without an address are the user's to mend, and said in a sentence."""
    async with website() as site:
        pass
    with pytest.raises(Unreachable, match="Nobody answers"):
        await egress(site).fetch(site.url + "/")
    with pytest.raises(Unreachable, match="no address"):
        await Egress(resolver=ScriptedResolver({})).fetch("http://nobody.test/")
    with pytest.raises(Unreachable, match="no address"):
        await Egress(resolver=ScriptedResolver({"none.test": [[]]})).fetch("http://none.test/")


@pytest.mark.parametrize("port", [1, 22, 25, 53, 445, 631, 1023])
async def test_ports_of_machines_services_are_not_connected_to(port: int) -> None:
    """A public address does not make a mail server a web site."""
    with pytest.raises(Refused, match=f"Port {port}"):
        await Egress(resolver=ScriptedResolver({"site.test": [["8.8.8.8"]]})).fetch(f"http://site.test:{port}/")


async def test_every_request_resolves_anew() -> None:
    """No connection outlives its request: what was permitted a moment ago is asked again."""
    async with website({"/": answer("Hello")}) as site:
        resolver = ScriptedResolver({"site.test": [["127.0.0.1"], ["10.0.0.1"]]})
        client = egress(site, resolver=resolver)
        assert (await client.fetch(f"http://site.test:{site.port}/")).status == 200
        with pytest.raises(Refused, match="private"):
            await client.fetch(f"http://site.test:{site.port}/")
        assert (site.connections, resolver.asked) == (1, ["site.test"] * 2)
