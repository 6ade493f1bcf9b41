"""GitHub tells of pushes: signed, each heard once, and what is not signed learns nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import select

from core.clock import SystemClock
from core.ids import new_id
from stores.buckets import bucket_of
from stores.outbox import Outbox
from stores.sources import CrawlProgress, Crawls
from stores.sql.models import CrawlState, SourceRow
from tests.factories.pushes import HOOK, headers_of, push_body, signature
from tests.integration.server.running import Api, running, settings_for

SOURCES = "/api/v1/rag/sources"


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve those who are not known once a minute: receivers have no limit."""
    async with running(settings_for(tmp_path, database_url, rate_limit_unauthenticated_per_minute=1)) as api:
        yield api


@dataclass(frozen=True)
class Hooked:
    """A source that hears pushes, and GitHub's side of it."""

    client: httpx.AsyncClient
    source_id: str
    secret: str

    @property
    def place(self) -> str:
        return f"{SOURCES}/{self.source_id}"

    async def push(self, body: bytes, *, source_id: str | None = None, **signed: Any) -> httpx.Response:
        return await self.post(body, headers_of(body, self.secret, **signed), source_id=source_id)

    async def post(
        self, body: bytes, headers: dict[str, str] | list[tuple[str, str]], *, source_id: str | None = None
    ) -> httpx.Response:
        where = {"source_id": self.source_id if source_id is None else source_id}
        return await self.client.post(HOOK, params=where, content=body, headers=headers)

    async def due_at(self) -> str | None:
        answer: str | None = (await self.client.get(self.place)).json()["next_crawl_at"]
        return answer


async def hooked(client: httpx.AsyncClient, location: str = "acme/cranes", **given: Any) -> Hooked:
    made = await client.post(SOURCES, json={"name": new_id(), "type": "github", "location": location, **given})
    assert made.status_code == 201, made.text
    assert made.headers["cache-control"] == "no-store"
    return Hooked(client, made.json()["source_id"], made.json()["webhook_secret"])


def crawls_of(api: Api) -> Crawls:
    clock = SystemClock()
    return Crawls(database=api.database, outbox=Outbox(clock), clock=clock, new_id=new_id)


async def test_a_push_makes_its_source_due_once(api: Api) -> None:
    """202, and a crawl follows; sent again, also under another id, it starts nothing. The log names the delivery."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        assert await source.due_at() is None
        body, delivery = push_body(), new_id()
        accepted = await source.push(body, delivery=delivery)
        assert (accepted.status_code, accepted.json()["state"]) == (202, "accepted")
        assert await source.due_at() is not None
        assert await crawls_of(api).post_due() == 1
        for again in (delivery, new_id()):
            repeated = await source.push(body, delivery=again)
            assert (repeated.status_code, repeated.json()["state"]) == (200, "repeated")
        same_id = await source.push(push_body(), delivery=delivery)
        assert (same_id.status_code, same_id.json()["state"]) == (200, "repeated")
        assert await source.due_at() is None
        [entry] = (await client.get("/api/v1/audit/events?action=source.pushed")).json()["items"]
        assert (entry["actor"], entry["resource_id"]) == ("github", source.source_id)
        assert entry["details"]["delivery_id"] == delivery


async def test_a_push_in_the_middle_of_a_crawl_is_crawled_after_it(api: Api) -> None:
    """What that crawl listed may be older than the push; many pushes meanwhile are one more crawl."""
    tenant_id, key = await api.tenant()
    crawls = crawls_of(api)
    async with api.client(key) as client:
        source = await hooked(client)
        assert (await source.push(push_body())).status_code == 202
        assert await crawls.post_due() == 1
        claimed = await crawls.claim(bucket_of(tenant_id))
        assert claimed is not None
        for _ in range(5):
            assert (await source.push(push_body())).status_code == 202
        assert await crawls.post_due() == 0
        await crawls.close(claimed, CrawlState.SUCCEEDED, CrawlProgress())
        assert [await crawls.post_due(), await crawls.post_due()] == [1, 0]


async def test_one_push_sent_twenty_times_at_once_is_one(api: Api) -> None:
    """Whichever process or connection it comes by."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        body, delivery = push_body(), new_id()
        answers = await asyncio.gather(*(source.push(body, delivery=delivery) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [202]


async def test_ping_and_what_is_no_push_are_answered(api: Api) -> None:
    """GitHub shows whether its ping arrived; other events do nothing."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        for event, state in (("ping", "pong"), ("issues", "ignored"), ("release", "ignored")):
            answer = await source.push(b'{"zen": "Design for failure."}', event=event)
            assert (answer.status_code, answer.json()["state"]) == (200, state)
        assert await source.due_at() is None


@pytest.mark.parametrize(
    ("location", "push", "said"),
    [
        ("acme/cranes", {"ref": "refs/heads/other"}, "the source follows main"),
        ("acme/cranes", {"ref": "main"}, "the source follows main"),
        ("acme/cranes", {"deleted": True}, "main was deleted"),
        ("acme/cranes@next", {"ref": "refs/heads/main"}, "the source follows next"),
        ("acme/cranes@next:docs", {"ref": "refs/heads/next-one"}, "the source follows next"),
        ("acme/cranes", {"repository": "acme/crane"}, "the source is the repository acme/cranes"),
        ("acme/cranes", {}, None),
        ("Acme/Cranes", {}, None),
        ("acme/cranes@next", {"ref": "refs/heads/next"}, None),
        ("acme/cranes@v1:docs", {"ref": "refs/tags/v1"}, None),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_push_elsewhere_is_ignored_with_a_sentence(
    api: Api, location: str, push: dict[str, Any], said: str | None
) -> None:
    """Another branch, another repository, a branch that goes: 200, which says why. The branch itself: 202."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client, location)
        answer = await source.push(push_body(**push))
        assert answer.status_code == (202 if said is None else 200)
        assert (said or "crawled next") in answer.json()["message"]
        assert (await source.due_at() is None) == (said is not None)


async def test_a_paused_source_ignores_pushes_and_hears_them_again(api: Api) -> None:
    """What was ignored is not taken: the same delivery counts when the source goes on."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        body, delivery = push_body(), new_id()
        await client.patch(source.place, json={"paused": True})
        assert (await source.push(body, delivery=delivery)).json()["state"] == "ignored"
        await client.patch(source.place, json={"paused": False})
        assert (await source.push(body, delivery=delivery)).json()["state"] == "accepted"


async def test_a_form_is_read_as_well(api: Api) -> None:
    """GitHub sends one unless it is told to send JSON; what is signed is the form."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        form = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode({"payload": push_body().decode()}).encode()
        assert (await source.post(body, headers_of(body, source.secret) | form)).status_code == 202
        for bad in (b"", b"payload", b"payload=", b"other=1", body + b"&payload=1", b"\xff=\xfe", b"a=1&" * 20):
            refused = await source.post(bad, headers_of(bad, source.secret) | form)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), bad


async def test_the_secret_is_shown_once_and_can_be_another(api: Api) -> None:
    """Only in the answer that made the source; what is sealed is not what was shown. A new one holds at once."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        assert len(source.secret) >= 43
        shown = (await client.get(source.place)).text + (await client.get(SOURCES)).text
        assert source.secret not in shown
        async with api.database.reading() as session:
            sealed = (await session.scalars(select(SourceRow.sealed_webhook_secret))).one()
        assert sealed is not None
        assert source.secret.encode() not in sealed
        mine = "a secret of my own"
        assert (await client.patch(source.place, json={"webhook_secret": mine})).status_code == 400  # a space
        mine = mine.replace(" ", "-")
        changed = await client.patch(source.place, json={"webhook_secret": mine})
        assert (changed.status_code, mine in changed.text) == (200, False)
        assert (await source.push(push_body())).status_code == 401
        assert (await Hooked(client, source.source_id, mine).push(push_body())).status_code == 202
        log = (await client.get("/api/v1/audit/events?action=source.changed")).text
        assert ("webhook_secret" in log, mine in log) == (True, False)
        page = await client.post(SOURCES, json={"name": "page", "type": "url", "location": "https://example.com/"})
        assert (page.json()["webhook_secret"], page.json()["hears_pushes"]) == (None, False)
        place = f"{SOURCES}/{page.json()['source_id']}"
        assert (await client.patch(place, json={"webhook_secret": mine})).status_code == 409


async def test_what_is_not_signed_learns_nothing(api: Api) -> None:
    """Every way to get the signature wrong, and every source that is none: one answer, the same bytes, 401."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source, other = await hooked(client), await hooked(client)
        deaf, gone = await hooked(client), await hooked(client)
        await client.patch(deaf.place, json={"webhook_secret": None})
        await client.delete(gone.place)
        page = await client.post(SOURCES, json={"name": "page", "type": "url", "location": "https://example.com/"})
        body = push_body()
        right = headers_of(body, source.secret)
        signed = right.pop("x-hub-signature-256")
        one, digest = "x-hub-signature-256", signed.removeprefix("sha256=")

        def given(*values: str) -> list[tuple[str, str]]:
            return [*right.items(), ("x-request-id", "same"), *((one, value) for value in values)]

        refused = [
            await source.post(body, given(*values))
            for values in [
                (),  # only the old header, X-Hub-Signature, which is SHA-1
                (signature(body, "another secret"),),
                (signature(body, other.secret),),
                (signature(body, source.secret, "sha1"),),
                (signature(body + b" ", source.secret),),
                (signature(b"", source.secret),),
                (f"sha256={digest.upper()}",),
                (f"SHA256={digest}",),
                (f"sha1={digest}",),
                (digest,),
                (f"sha256={digest[:-1]}",),
                (f"sha256={digest}0",),
                (f"sha256= {digest}",),
                (f"sha256={digest},sha256={digest}",),
                ("",),
                ("sha256=",),
                (signed, signed),
                (signed, signature(body, other.secret)),
                (signature(body, other.secret), signed),
            ]
        ]
        for changed in (body + b" ", body[:-1], body.replace(b"cranes", b"Cranes"), b"", b"{}"):
            refused.append(await source.post(changed, given(signed)))
        for nobody in (new_id(), deaf.source_id, gone.source_id, page.json()["source_id"], "x", "", "%00", "'--"):
            refused.append(await source.post(body, given(signed), source_id=nobody))
        for deaf_one in (deaf, gone):
            own = headers_of(body, deaf_one.secret)[one]
            refused.append(await deaf_one.post(body, given(own)))
        assert {answer.status_code for answer in refused} == {401}
        assert len({answer.content for answer in refused}) == 1
        assert len({tuple(sorted(answer.headers)) for answer in refused}) == 1
        assert await source.due_at() is None
        assert (await source.post(body, given(signed))).status_code == 202  # it was none of the rest


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_signed_and_no_push_is_refused(api: Api) -> None:
    """A body that is none, headers that are missing or doubled, other types of content: 400 or 415, and nothing due."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        deep = b"[" * 100_000
        strange = [b"", b"null", b"[]", b"{}", b"not JSON", b"\xff\xfe", deep, b'{"a":' * 100_000, b'{"ref": 1}']
        pushed = json.loads(push_body())
        strange += [
            json.dumps(pushed | change).encode() for change in ({"ref": None}, {"repository": {}}, {"deleted": 1})
        ]
        for body in strange:
            answer = await source.push(body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "VALIDATION_ERROR"), body[:50]
        body = push_body()
        right = headers_of(body, source.secret)
        for name in ("x-github-event", "x-github-delivery"):
            without = [(key, value) for key, value in right.items() if key != name]
            for values in ([], ["push", "push"], [""], ["x" * 101], ["a b"]):
                assert (await source.post(body, [*without, *((name, value) for value in values)])).status_code == 400
        for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
            assert (await source.post(body, right | {"content-type": kind})).status_code == 415
        assert (await source.post(body, right | {"content-encoding": "gzip"})).status_code == 415
        assert await source.due_at() is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_body_longer_than_githubs_is_not_read(api: Api) -> None:
    """26 MB are refused by what they say, and by what they are; without a signature not one byte is waited for."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        source = await hooked(client)
        piece, where = bytes(1024 * 1024), {"source_id": source.source_id}
        headers = headers_of(b"", source.secret)

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(26):
                yield piece

        declared = await source.post(piece * 26, headers)
        chunked = await client.post(HOOK, params=where, content=pieces(), headers=headers)
        assert [answer.status_code for answer in (declared, chunked)] == [413, 413]
        del headers["x-hub-signature-256"]
        assert (await source.post(piece * 26, headers)).status_code == 401
        long = push_body(commits=["x" * 1000] * 20_000)
        assert (await source.push(long)).status_code == 202
