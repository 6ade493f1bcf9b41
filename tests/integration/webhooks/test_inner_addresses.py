"""No webhook is sent inside: not to what is registered, nor to what a name means later, nor where a receiver points."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.clock import SystemClock
from core.ids import new_event_id, new_id
from server.webhooks.dispatch.delivery import Claimed, Ended, Recipient
from server.webhooks.dispatch.post import Post
from stores.egress import Admission, Allowance, Egress, EgressFailed, Resolver
from tests.factories.webhooks import SEALING, SECRET
from tests.fakes.canaries import NAMES, PUBLIC, Watch, watching
from tests.fakes.receiver import receiving
from tests.fakes.resolver import ScriptedResolver
from tests.fakes.website import redirect, website
from tests.integration.server.hooked import ENDPOINTS, made
from tests.integration.server.running import running, settings_for


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """Yield canaries on loopback, and note what sockets are opened."""
    async with watching(monkeypatch) as watch:
        yield watch


def either_scheme(urls: Sequence[str]) -> list[str]:
    """Return every URL, and those of http as https too: what may be spoken to without TLS is another matter."""
    secure = [f"https:{url[5:]}" for url in urls if url.lower().startswith("http:")]
    return list(dict.fromkeys([*urls, *secure]))


def claimed(url: str) -> Claimed:
    """Return a delivery to `url`, however that got into the table."""
    endpoint_id = new_id()
    recipient = Recipient(
        endpoint_id=endpoint_id,
        url=url,
        sealed_headers=SEALING.seal_headers("{}", endpoint_id),
        sealed_secret=SEALING.seal_secret(SECRET, endpoint_id),
        sealed_previous_secret=None,
        secret_rotated_at=None,
    )
    return Claimed(
        id=new_id(), tenant_id=new_id(), event_id=new_event_id(), body=b"{}", attempt=1, fence=1, recipient=recipient
    )


def post(*allowed: str, resolver: Resolver | None = None) -> Post:
    """Return what the dispatcher posts with, wired as there."""
    allow = Allowance.of(allowed)
    return Post(
        secure=Egress(allow=allow, resolver=resolver, kept_seconds=30.0),
        plain=Egress(allow=allow, resolver=resolver, kept_seconds=30.0, allowed_only=True),
        sealing=SEALING,
        clock=SystemClock(),
        timeout_seconds=10.0,
    )


async def sent(posting: Post, urls: Sequence[str]) -> dict[str, Ended]:
    return {url: await posting.send(claimed(url)) for url in urls}


async def test_the_canaries_would_sing(watch: Watch) -> None:
    """Where the operator allows it a delivery does arrive at both: the silence below means something."""
    for canary in watch.canaries:
        ended = await post(canary.place).send(claimed(canary.url + "/"))
        assert (ended.status, canary.asked[-1].method) == (200, "POST")
    assert watch.seen() == [1, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_form_of_an_inner_address_is_registered(watch: Watch, database_url: str, tmp_path: Path) -> None:
    """By POST and by PATCH: refused with a sentence, nothing is kept, and nobody was called to find out."""
    urls = either_scheme(watch.forms())
    assert len(urls) >= 200
    async with running(settings_for(tmp_path, database_url)) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            endpoint = await made(client)
            place = f"{ENDPOINTS}/{endpoint['endpoint_id']}"
            let_in = []
            for url in urls:
                posted = await client.post(ENDPOINTS, json={"url": url, "event_types": ["*"]})
                patched = await client.patch(place, json={"url": url})
                for response in (posted, patched):
                    refusal = (response.status_code, response.json().get("error", {}).get("code"))
                    if refusal not in ((400, "VALIDATION_ERROR"), (403, "EGRESS_BLOCKED")):
                        let_in.append((url, response.status_code, response.text))
            assert let_in == []
            assert [item["url"] for item in (await client.get(ENDPOINTS)).json()["items"]] == [endpoint["url"]]
        our_own = ("127.0.0.1", urlsplit(api.url).port)
    assert watch.seen() == [0, 0]
    assert set(watch.attempts) == {our_own}


async def test_no_form_of_an_inner_address_is_sent_to(watch: Watch) -> None:
    """Should one be in the table all the same, its deliveries end with a sentence, and not one socket is opened."""
    ended = await sent(post(), either_scheme(watch.forms()))
    assert [url for url, each in ended.items() if each.status is not None or not each.error] == []
    assert (watch.seen(), watch.attempts) == ([0, 0], [])


async def test_no_name_leads_to_an_inner_address(watch: Watch) -> None:
    """Alone, behind aliases or among public addresses: refused when it is registered, and when it is sent to."""
    urls = either_scheme([f"http://{name}:{watch.port}/" for name in NAMES])
    for url in urls:
        with pytest.raises(EgressFailed):
            await Admission(allow=Allowance(), resolver=ScriptedResolver(NAMES)).check(url)
    ended = await sent(post(resolver=ScriptedResolver(NAMES)), urls)
    for each in ended.values():  # over http a public address is refused as well, for being one
        assert "we do not connect to" in (each.error or "") or "without encryption" in (each.error or "")
    assert (watch.seen(), watch.attempts) == ([0, 0], [])


async def test_a_name_that_changes_its_mind_is_not_followed_inside(watch: Watch) -> None:
    """Rebinding: public when it was registered and inner at any later moment, or to and fro, at every phase.

    Public answers are connected to, at the address that was checked; inner ones never are.
    """
    answers = (PUBLIC, "127.0.0.1", "::1", "169.254.169.254")
    for phase in range(64):
        turns = [[answers[(phase >> 2 * turn) & 3]] for turn in range(3)]
        resolver = ScriptedResolver({"rebind.test": [[PUBLIC], *turns]})
        url = f"https://rebind.test:{watch.port}/"
        await Admission(allow=Allowance(), resolver=resolver).check(url)
        posting = post(resolver=resolver)
        for turn in turns:
            before = len(watch.attempts)
            ended = await posting.send(claimed(url))
            assert ended.status is None
            assert len(watch.attempts) - before == (turn == [PUBLIC])
    assert watch.seen() == [0, 0]
    assert set(watch.attempts) == {(PUBLIC, watch.port)}


async def test_a_connection_that_is_kept_is_to_the_address_that_was_checked(watch: Watch) -> None:
    """The receiver's name turns inner while a connection to it is open: what follows goes to the receiver still."""
    with receiving() as receiver:
        resolver = ScriptedResolver({"rebind.test": [["127.0.0.1"], ["::1"]]})
        posting, url = post(f"127.0.0.1:{receiver.port}", resolver=resolver), f"http://rebind.test:{receiver.port}/"
        assert [(await posting.send(claimed(url))).status for _ in range(3)] == [receiver.status_of("/")] * 3
        assert (watch.attempts, resolver.asked) == ([("127.0.0.1", receiver.port)], ["rebind.test"])
    assert watch.seen() == [0, 0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_receiver_points_us_inside(watch: Watch, status: int) -> None:
    """It answers with each form as its Location: that is its answer, a failed attempt, and nobody goes there."""
    targets = [form for form in watch.forms() if form.isascii()]
    pages = {f"/{number}": redirect(form, status) for number, form in enumerate(targets)}
    async with website(pages) as site:
        ended = await sent(post(site.place), [f"{site.url}/{number}" for number in range(len(targets))])
        assert {each.status for each in ended.values()} == {status}
        assert not any(each.succeeded for each in ended.values())
        assert set(watch.attempts) == {(site.host, site.port)}
        assert {urlsplit(asked.path).path for asked in site.asked} == set(pages)
    assert watch.seen() == [0, 0]
