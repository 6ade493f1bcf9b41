"""C24: no spelling, redirect or change of mind of a name leads to an inner address (open-cowork #763)."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import httpcore
import pytest

from core.errors import AddressBlocked, IngestFailed, SourceNotFound, SourceUnavailable
from pipelines.sources.github import GitHub
from pipelines.sources.repository_address import RepositoryAddress
from pipelines.sources.web import WebPages
from stores.egress import Allowance, Egress, Resolver
from tests.fakes.resolver import ScriptedResolver
from tests.fakes.website import Website, answer, redirect, website

# {p} is the canary's port, on which it listens on 127.0.0.1 and ::1.
FORMS = """
http://127.0.0.1:{p}/ http://127.0.0.2:{p}/ http://127.1:{p}/ http://127.0.1:{p}/ http://2130706433:{p}/
http://017700000001:{p}/ http://0x7f000001:{p}/ http://0x7f.0.0.1:{p}/ http://0177.0.0.1:{p}/ http://0x7f.1:{p}/
http://0177.1:{p}/ http://127.0.0.1.:{p}/ http://127.0.0.01:{p}/ http://127.0.0.0x1:{p}/ http://0x7F.0x0.0x0.0x1:{p}/
http://00000177.0.0.1:{p}/ http://6425673729:{p}/ http://127.000.000.001:{p}/ http://127.65535:{p}/ http://127.16777215:{p}/
http://0.0.0.0:{p}/ http://0:{p}/ http://0x0:{p}/ http://00:{p}/ http://0.0:{p}/
http://localhost:{p}/ http://LOCALHOST:{p}/ http://localhost.:{p}/ http://ip6-localhost:{p}/ http://localhost.localdomain:{p}/
http://[::1]:{p}/ http://[0:0:0:0:0:0:0:1]:{p}/ http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/ http://[::]:{p}/
http://[::0.0.0.1]:{p}/ http://[::127.0.0.1]:{p}/ http://[::7f00:1]:{p}/ http://[::ffff:127.0.0.1]:{p}/
http://[::ffff:7f00:1]:{p}/ http://[::FFFF:127.0.0.1]:{p}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/ http://[::ffff:0:7f00:1]:{p}/
http://[::ffff:0.0.0.0]:{p}/ http://[64:ff9b::127.0.0.1]:{p}/ http://[64:ff9b::7f00:1]:{p}/ http://[64:ff9b:1::7f00:1]:{p}/
http://[2002:7f00:1::]:{p}/ http://[2001::7f00:1]:{p}/ http://[fe80::1]:{p}/ http://[fe80::1%25lo]:{p}/ http://[::1%25lo]:{p}/
http://[::1%lo]:{p}/ http://[fc00::1]:{p}/ http://[fd00:ec2::254]/ http://[ff02::1]:{p}/ http://[fec0::1]:{p}/
http://169.254.169.254/latest/meta-data/ http://0xa9fea9fe/ http://2852039166/ http://0251.0376.0251.0376/
http://169.254.43518/ http://[::ffff:169.254.169.254]/ http://169.254.170.2/ http://100.100.100.200/ http://192.0.0.192/
http://168.63.129.16/ http://10.0.0.1:{p}/ http://172.16.0.1:{p}/ http://192.168.0.1:{p}/ http://192.168.257:{p}/
http://100.64.0.1:{p}/ http://198.18.0.1:{p}/ http://224.0.0.1:{p}/ http://255.255.255.255:{p}/ http://240.0.0.1:{p}/
http://①②⑦.⓪.⓪.①:{p}/ http://１２７.０.０.１:{p}/ http://127。0。0。1:{p}/ http://127．0．0．1:{p}/ http://١٢٧.0.0.1:{p}/
http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/ http://%31%32%37.0.0.1:{p}/ http://127.0.0.1%2e:{p}/ http://127.0.0.1%00.example.org:{p}/
http://user@127.0.0.1:{p}/ http://example.org@127.0.0.1:{p}/ http://example.org:80@127.0.0.1:{p}/
http://127.0.0.1:{p}#@example.org/ http://127.0.0.1:{p}\\@example.org/ http://example.org\\@127.0.0.1:{p}/
http:\\\\127.0.0.1:{p}/ http:///127.0.0.1:{p}/ http:127.0.0.1:{p}/ //127.0.0.1:{p}/ http://127.0.0.1:0/ http://127.0.0.1:65536/
http://127.0.0.1:-1/ http://127.0.0.1:{p}:80/ ftp://127.0.0.1:{p}/ gopher://127.0.0.1:{p}/_ file://127.0.0.1/etc/hosts
file:///etc/hosts
dict://127.0.0.1:{p}/ unix:///run/x.sock https://127.0.0.1:{p}/ HTTP://127.0.0.1:{p}/ javascript:alert(1)
"""
PUBLIC = "93.184.215.14"
# What the names of a hostile zone answer, one list a question.
NAMES = {
    "loopback.test": [["127.0.0.1"]],
    "six.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "nat64.test": [["64:ff9b::7f00:1"]],
    "unspecified.test": [["0.0.0.0"]],
    "metadata.test": [["169.254.169.254"]],
    "zone.test": [["fe80::1%lo"]],
    "mixed.test": [[PUBLIC, "127.0.0.1"]],
    "mixed-first.test": [["127.0.0.1", PUBLIC]],
    "mixed-families.test": [[PUBLIC, "::1"]],
    "alias-of-an-alias.test": [["127.0.0.1"]],  # whatever CNAMEs stand between: what counts is where they end
}


@dataclass(slots=True)
class Watch:
    """The canaries of both families, and every address that anything tried to connect to."""

    canaries: list[Website]
    attempts: list[tuple[str, int]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.canaries[0].port

    def seen(self) -> list[int]:
        return [canary.connections for canary in self.canaries]


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """Yield canaries on loopback, and note what sockets are opened."""
    async with website({"/": answer("sensitive")}) as four:
        six = Website(host="::1", port=four.port, pages=four.pages)
        server = await asyncio.start_server(six.serve, "::1", four.port)
        watch = Watch([four, six])
        connect = httpcore.AnyIOBackend.connect_tcp

        async def noted(self: object, host: str, port: int, **more: object) -> object:
            watch.attempts.append((host, port))
            if host == PUBLIC:
                raise httpcore.ConnectError("nothing outside of this machine is asked by a test")
            return await connect(self, host, port, **more)

        monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", noted)
        yield watch
        server.close()
        await server.wait_closed()


def forms(watch: Watch) -> list[str]:
    return [form.format(p=watch.port) for form in FORMS.split()]


def pages(*sites: Website, resolver: Resolver | None = None) -> WebPages:
    allow = Allowance.of([site.place for site in sites])
    return WebPages(Egress(allow=allow, resolver=resolver), max_bytes=100_000, seconds=10)


async def outcomes(fetcher: WebPages, urls: Iterable[str]) -> dict[str, type[IngestFailed] | str]:
    """Return how fetching each of `urls` ended: the failure's type, or what came back."""
    ended: dict[str, type[IngestFailed] | str] = {}
    for url in urls:
        try:
            ended[url] = str(await fetcher.fetch(url))
        except IngestFailed as failure:
            ended[url] = type(failure)
    return ended


def not_refused(ended: dict[str, type[IngestFailed] | str]) -> dict[str, object]:
    """Return what was neither refused nor without an address."""
    return {url: end for url, end in ended.items() if end not in (AddressBlocked, SourceUnavailable)}


async def test_C24_the_canaries_would_sing(watch: Watch) -> None:
    """Without the table a request does arrive at both: the silence below means something."""
    for canary in watch.canaries:
        await pages(canary).fetch(canary.url + "/")
    assert watch.seen() == [1, 1]


def test_C24_there_are_enough_forms() -> None:
    """More than seventy ways to write an inner address."""
    assert len(set(FORMS.split())) + len(NAMES) >= 70


async def test_C24_no_form_of_an_address_is_connected_to(watch: Watch) -> None:
    """URL ingest: every form ends in a sentence, and not one socket is opened."""
    ended = await outcomes(pages(), forms(watch))
    assert not_refused(ended) == {}
    assert (watch.seen(), watch.attempts) == ([0, 0], [])


async def test_C24_no_redirect_leads_to_one(watch: Watch) -> None:
    """A site that is permitted redirects to each form; what it gives is its own redirect and nothing else."""
    targets = [form for form in forms(watch) if form.isascii()]
    answers = {f"/{number}": redirect(form) for number, form in enumerate(targets)}
    async with website(answers) as site:
        ended = await outcomes(pages(site), [f"{site.url}/{number}" for number in range(len(targets))])
        allowed = (site.host, site.port)
    assert not [end for end in ended.values() if isinstance(end, str)]  # a few lead back to the site: 404
    assert watch.seen() == [0, 0]
    assert set(watch.attempts) <= {allowed}


async def test_C24_no_repository_leads_to_one(watch: Watch) -> None:
    """GitHub source: the server of repositories redirects to each form; neither its listing nor its pack is there."""
    refs = "/acme/cranes.git/info/refs?service=git-upload-pack"
    address = RepositoryAddress.of("acme/cranes")
    async with website() as site:
        hub = GitHub(egress=Egress(allow=Allowance.of([site.place])), base_url=site.url)
        for form in (form for form in forms(watch) if form.isascii()):
            site.pages[refs] = redirect(form.rstrip("/") + refs)
            with pytest.raises(IngestFailed):
                async with hub.repository(address):
                    pass
        allowed = (site.host, site.port)
    assert watch.seen() == [0, 0]
    assert set(watch.attempts) <= {allowed}


def test_C24_no_source_string_names_a_host() -> None:
    """GitHub source: what a user writes is an owner and a name; the host is the operator's."""
    for form in FORMS.split():
        for text in (
            form.format(p=80),
            form.format(p=80) + "a/b",
            f"{form.format(p=80)}@main",
            f"a/b@{form.format(p=80)}",
        ):
            with pytest.raises(SourceNotFound):
                RepositoryAddress.of(text)


async def test_C24_no_name_leads_to_one(watch: Watch) -> None:
    """A name that means an inner address, alone, behind aliases or among public ones, is refused as a whole."""
    ended = await outcomes(pages(resolver=ScriptedResolver(NAMES)), [f"http://{name}:{watch.port}/" for name in NAMES])
    assert set(ended.values()) == {AddressBlocked}
    assert (watch.seen(), watch.attempts) == ([0, 0], [])


async def test_C24_a_name_that_changes_its_mind_is_asked_once(watch: Watch) -> None:
    """Rebinding: the address that was checked is the one connected to, whatever the name means a moment later."""
    async with website({"/": answer("harmless"), "/again": redirect("/")}) as site:
        # Two places on one machine: the first answer is permitted, all later ones are inner.
        resolver = ScriptedResolver({"rebind.test": [["127.0.0.1"], ["::1"]]})
        fetcher = pages(site, resolver=resolver)
        first = await fetcher.fetch(f"http://rebind.test:{site.port}/")
        assert (first.content, resolver.asked) == (b"harmless", ["rebind.test"])
        with pytest.raises(AddressBlocked):
            await fetcher.fetch(f"http://rebind.test:{site.port}/")

        resolver = ScriptedResolver({"rebind.test": [["127.0.0.1"], ["0.0.0.0"]]})
        with pytest.raises(AddressBlocked):  # the redirect is a request of its own
            await pages(site, resolver=resolver).fetch(f"http://rebind.test:{site.port}/again")
        assert set(watch.attempts) == {("127.0.0.1", site.port)}
    assert watch.seen() == [0, 0]


async def test_C24_many_rebindings_never_get_through(watch: Watch) -> None:
    """A name that alternates at any phase: the public answers are connected to, the inner ones never."""
    for phase in range(64):
        answers = [[(PUBLIC, "127.0.0.1", "::1", "0.0.0.0")[(phase >> 2 * turn) & 3]] for turn in range(3)]
        fetcher = pages(resolver=ScriptedResolver({"rebind.test": answers}))
        ended = [await outcomes(fetcher, [f"http://rebind.test:{watch.port}/"]) for _ in answers]
        said = [SourceUnavailable if answer == [PUBLIC] else AddressBlocked for answer in answers]
        assert [end for each in ended for end in each.values()] == said
    assert watch.seen() == [0, 0]
    assert set(watch.attempts) == {(PUBLIC, watch.port)}
