"""Many requests at once with little effort: pipelined over many connections, only their statuses counted."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def crowd(urls: Sequence[str], request: bytes, *, requests: int, connections: int) -> Counter[int]:
    """Send `request` that many times, spread over the servers; return how often each status came.

    `request` ends its head without the last empty line: the last one of each connection asks to close it.
    """
    each, rest = divmod(requests, connections)
    shares = [each + (number < rest) for number in range(connections)]
    counts = await asyncio.gather(
        *(_converse(urls[number % len(urls)], request, share) for number, share in enumerate(shares))
    )
    return sum(counts, Counter())


async def _converse(url: str, request: bytes, requests: int) -> Counter[int]:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write((request + b"\r\n") * (requests - 1) + request + b"Connection: close\r\n\r\n")
    found: Counter[int] = Counter()
    kept = b""
    while received := await reader.read(1 << 16):
        text = kept + received
        found.update(int(status) for status in _STATUS.findall(text))
        last = max((match.end() for match in _STATUS.finditer(text)), default=0)
        kept = text[max(last, len(text) - 12) :]  # a status may be cut in two
    writer.close()
    return found
