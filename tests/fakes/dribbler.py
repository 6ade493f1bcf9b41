"""An endpoint that answers a byte a second: never silent for long, and never done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(1_000_000)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        for byte in _ANSWER:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1.0)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # whoever asked has had enough
    finally:
        writer.close()


@asynccontextmanager
async def dribbling() -> AsyncIterator[str]:
    """Serve for the length of the block; yield the URL."""
    talks: set[asyncio.Task[None]] = set()

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(_converse(reader, writer))
        talks.add(talk)
        talk.add_done_callback(talks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
