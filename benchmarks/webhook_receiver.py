"""The receiver of benchmarks.webhooks, in a process of its own so that it takes no turn from the one that asks it.

Serves on a free port and says which; then answers each line on its input with a line: `count` with how many requests
have come, `told` with [webhook-id, seconds of the monotonic clock] of each, `last` with the last one's path, headers
and body.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request as it arrived, `at` by the event loop's clock."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(slots=True)
class Receiver:
    """Answers every POST with `status_of(path)`, over connections that stay open. A status of 0 is never an answer."""

    port: int = 0
    told: list[Told] = field(default_factory=list)
    status_of: Callable[[str], int] = lambda path: 204
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Conversation(asyncio.Protocol):
    """One connection to a receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._path = ""
        self._headers: dict[str, str] = {}
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.connections += 1

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path += url.decode("ascii")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("ascii").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        at = asyncio.get_running_loop().time()
        self._receiver.told.append(Told(path=self._path, headers=self._headers, body=self._body, at=at))
        status = self._receiver.status_of(self._path)
        if status:
            self._transport.write(f"HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n".encode())
        self._begin()


def _answer(receiver: Receiver, asked: str) -> object:
    if asked == "count":
        return len(receiver.told)
    if asked == "told":
        return [[each.headers.get("webhook-id", ""), each.at] for each in receiver.told]
    last = receiver.told[-1]
    return {"path": last.path, "headers": last.headers, "body": last.body.decode()}


async def _serve() -> None:
    loop, receiver, asked = asyncio.get_running_loop(), Receiver(), asyncio.StreamReader()
    server = await loop.create_server(lambda: Conversation(receiver), "127.0.0.1", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    print(server.sockets[0].getsockname()[1], flush=True)
    async for line in asked:
        print(json.dumps(_answer(receiver, line.decode().strip())), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
