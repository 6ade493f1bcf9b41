"""Requests without a socket: as much of one as reads headers and a body."""

from collections.abc import AsyncIterator, Iterable, Mapping
from types import SimpleNamespace
from typing import cast

from sanic import Request
from sanic.compat import Header


class FakeStream:
    """A body that arrives in pieces. Counts what has been taken from it."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.taken_bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.taken_bytes += len(piece)
            yield piece


def a_request(headers: Mapping[str, str], stream: object) -> Request:
    """Return a request with these headers whose body comes from `stream`."""
    return cast(Request, SimpleNamespace(headers=Header(dict(headers)), stream=stream))
