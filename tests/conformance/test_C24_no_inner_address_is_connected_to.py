"""C24: no spelling, redirect or change of mind of a name leads to an inner address (open-cowork #763)."""

from collections.abc import AsyncIterator, Iterable

import pytest

from core.errors import AddressBlocked, IngestFailed, SourceNotFound, SourceUnavailable
from pipelines.sources.github import GitHub
from pipelines.sources.repository_address import RepositoryAddress
from pipelines.sources.web import WebPages
from stores.egress import Allowance, Egress, Resolver
from tests.fakes.canaries import FORMS, NAMES, PUBLIC, Watch, watching
from tests.fakes.resolver import ScriptedResolver
from tests.fakes.website import Website, answer, redirect, website


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """Yield canaries on loopback, and note what sockets are opened."""
    async with watching(monkeypatch) as watch:
        yield watch


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
    ended = await outcomes(pages(), watch.forms())
    assert not_refused(ended) == {}
    assert (watch.seen(), watch.attempts) == ([0, 0], [])


async def test_C24_no_redirect_leads_to_one(watch: Watch) -> None:
    """A site that is permitted redirects to each form; what it gives is its own redirect and nothing else."""
    targets = [form for form in watch.forms() if form.isascii()]
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
        for form in (form for form in watch.forms() if form.isascii()):
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
