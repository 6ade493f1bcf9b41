"""A body is read only as far as it is allowed, and all bodies together fit into the budget."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import PayloadTooLarge, ServiceUnavailable, UnsupportedMediaType, ValidationFailed
from server.errors import RequestTimedOut
from server.middleware import body
from server.middleware.body import BodyReader
from server.openapi.models import FORM, JSON, FormBody, JsonBody, Upload
from tests.fakes.requests import FakeStream, a_request

MEBIBYTE = 1024 * 1024


class Note(JsonBody):
    text: str


class Scan(FormBody):
    json_parts = frozenset({"pages"})
    title: str
    pages: int
    file: Upload


BODIES = {JSON: Note, FORM: Scan}


async def test_json_becomes_its_model() -> None:
    """However many pieces it arrives in; parameters of the media type are ignored."""
    raw = b'{"text": "Hello"}'
    stream = FakeStream(raw[start : start + 3] for start in range(0, len(raw), 3))
    request = a_request({"content-type": "Application/JSON; charset=utf-8"}, stream)
    assert await BodyReader(max_bytes=100).read(request, BODIES) == Note(text="Hello")


async def test_a_form_becomes_its_model() -> None:
    """Text parts are text, JSON parts are JSON, parts with a filename are uploads."""
    part = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    raw = part % (b"title", b"", b"12") + part % (b"pages", b"", b"12") + part % (b"file", b'; filename="a"', b"\0")
    request = a_request({"content-type": "multipart/form-data; boundary=x"}, FakeStream([raw + b"--x--"]))
    expected = Scan(title="12", pages=12, file=Upload(name="a", content=b"\0"))
    assert await BodyReader(max_bytes=1000).read(request, BODIES) == expected


async def test_a_part_that_occurs_twice_is_a_fault() -> None:
    """Two readers could pick different ones."""
    part = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\n1\r\n'
    request = a_request({"content-type": "multipart/form-data; boundary=x"}, FakeStream([part * 2 + b"--x--"]))
    with pytest.raises(ValidationFailed) as refused:
        await BodyReader(max_bytes=1000).read(request, BODIES)
    assert refused.value.details["violations"] == [{"pointer": "/title", "message": "The part occurs twice"}]


async def test_an_announced_length_over_the_limit_is_not_read() -> None:
    """Not one byte of it."""
    stream = FakeStream([b"x" * 11])
    with pytest.raises(PayloadTooLarge):
        await BodyReader(max_bytes=10).read(a_request({"content-type": JSON, "content-length": "11"}, stream), BODIES)
    assert stream.taken_bytes == 0


async def test_an_unannounced_length_is_read_to_the_limit() -> None:
    """And no piece further."""
    stream = FakeStream([b"x" * 4] * 1000)
    with pytest.raises(PayloadTooLarge):
        await BodyReader(max_bytes=10).read(a_request({"content-type": JSON}, stream), BODIES)
    assert stream.taken_bytes == 12


async def test_a_media_type_that_is_not_taken_is_not_read() -> None:
    """The sentence names those that are."""
    stream = FakeStream([b"x"])
    with pytest.raises(UnsupportedMediaType) as refused:
        await BodyReader(max_bytes=10).read(a_request({"content-type": "text/plain"}, stream), BODIES)
    assert (stream.taken_bytes, refused.value.details["accepted"]) == (0, [JSON, FORM])


async def test_a_sender_that_stalls_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that never ends holds its place for so long and no longer."""
    monkeypatch.setattr(body, "_PATIENCE_SECONDS", 0.01)

    class Stalling:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

    with pytest.raises(RequestTimedOut):
        await BodyReader(max_bytes=10).read(a_request({"content-type": JSON}, Stalling()), BODIES)


class Held:
    """Large bodies that arrive only when told to, and how many are being read at the same time."""

    def __init__(self) -> None:
        self.reading = self.most = 0
        self.four_are_reading = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.reading += 1
        self.most = max(self.most, self.reading)
        if self.reading == 4:
            self.four_are_reading.set()
        await self.go_on.wait()
        yield b'{"text": "x"}'
        self.reading -= 1


async def test_large_bodies_wait_for_each_other_and_small_ones_do_not() -> None:
    """Four of the largest are read at once; the fifth waits, a small one goes ahead, and all are served."""
    reader = BodyReader(max_bytes=2 * MEBIBYTE)
    held = Held()
    large = {"content-type": JSON, "content-length": str(2 * MEBIBYTE)}
    waiting = [asyncio.create_task(reader.read(a_request(large, held), BODIES)) for _ in range(9)]
    small = a_request({"content-type": JSON, "content-length": "13"}, FakeStream([b'{"text": "y"}']))
    await held.four_are_reading.wait()
    assert await reader.read(small, BODIES) == Note(text="y")
    held.go_on.set()
    assert await asyncio.gather(*waiting) == [Note(text="x")] * 9
    assert held.most == 4


async def test_who_waits_too_long_for_room_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what could not be read leaves the budget as it was."""
    monkeypatch.setattr(body, "_BUDGET_WAIT_SECONDS", 0.01)
    reader = BodyReader(max_bytes=2 * MEBIBYTE)
    held = Held()
    large = {"content-type": JSON, "content-length": str(2 * MEBIBYTE)}
    reading = [asyncio.create_task(reader.read(a_request(large, held), BODIES)) for _ in range(4)]
    await held.four_are_reading.wait()
    with pytest.raises(ServiceUnavailable):
        await reader.read(a_request(large, held), BODIES)
    held.go_on.set()
    await asyncio.gather(*reading)
    assert await reader.read(a_request(large, held), BODIES) == Note(text="x")
