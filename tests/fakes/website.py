"""A site on loopback that answers as it is told, and counts who comes."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

Answer = bytes | Callable[["Asked"], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


def answer(content: bytes | str = b"", status: int = 200, **headers: str) -> bytes:
    """Return a whole HTTP answer; `content_type="text/plain"` becomes a header Content-Type."""
    content = content.encode() if isinstance(content, str) else content
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def redirect(location: str, status: int = 302) -> bytes:
    return answer(status=status, location=location)


@dataclass(slots=True)
class Website:
    """`pages` are answered by path, all else with 404; `hold` keeps a connection open without a word."""

    port: int = 0
    host: str = "127.0.0.1"
    pages: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            method, path, _ = first.split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(method=method, path=path, headers=headers, body=body)
            self.asked.append(asked)
            page = self.pages.get(path, answer("not here", 404))
            said = page(asked) if callable(page) else page
            if said:
                writer.write(said)
                await writer.drain()
            else:
                await reader.read()  # until the other side has had enough
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever came has left; that they came is counted
        finally:
            writer.close()


@asynccontextmanager
async def website(
    pages: Mapping[str, Answer] | None = None, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Website]:
    """Serve `pages` on a free port of `host` for the length of the block, over TLS with a context for it."""
    site = Website(host=host, pages=dict(pages or {}))
    server = await asyncio.start_server(site.serve, host, 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


@contextmanager
def website_beside() -> Iterator[Website]:
    """Serve on a thread of its own, for tests that are no coroutines and for processes that they start."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    serving = website()
    try:
        yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
