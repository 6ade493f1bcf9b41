"""The transport that SDKs are given: limits hold whatever a server does, and each request is checked by itself."""

import gzip
from collections.abc import AsyncIterator

import pytest

from stores.egress import Allowance, Egress, Limits, Refused, TimedOut, TooMuch, Unreachable
from stores.egress.transport import EgressTransport, outbound_client
from tests.fakes.website import answer, redirect, website


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    out = Egress(allow=Allowance.of(["127.0.0.1"]))
    yield out
    await out.close()


async def test_answer_that_swells_is_cut_off(egress: Egress) -> None:
    """By what it becomes, however small it is sent; an honest one is unpacked once."""
    small, bomb = gzip.compress(b"hello"), gzip.compress(b"x" * 10_000_000)
    pages = {"/a": answer(small, content_encoding="gzip"), "/b": answer(bomb, content_encoding="gzip")}
    async with website(pages) as site:
        transport = EgressTransport(egress, Limits(max_bytes=100_000))
        async with outbound_client(transport) as client:
            assert (await client.get(f"{site.url}/a")).text == "hello"
            with pytest.raises(TooMuch):
                await client.post(f"{site.url}/b", json={})
        assert isinstance(transport.failure, TooMuch)


async def test_silence_has_an_end(egress: Egress) -> None:
    async with website({"/": b""}) as site, outbound_client(EgressTransport(egress, Limits(seconds=0.2))) as client:
        with pytest.raises(TimedOut):
            await client.get(site.url + "/")


async def test_redirect_that_is_followed_is_checked_again(egress: Egress) -> None:
    async with website(host="127.0.0.2") as canary, website({"/": redirect(canary.url)}) as site:
        async with outbound_client(EgressTransport(egress, Limits())) as client:
            with pytest.raises(Refused):
                await client.get(site.url + "/", follow_redirects=True)
        assert canary.connections == 0


async def test_header_of_two_lines_is_none(egress: Egress) -> None:
    async with website({"/": answer("x")}) as site:
        async with outbound_client(EgressTransport(egress, Limits(), adds={"x": "a\r\ny: b"})) as client:
            with pytest.raises(Unreachable):
                await client.get(site.url + "/")
        assert site.asked == []
