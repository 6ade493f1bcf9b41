"""Send bytes over a socket and read every answer that comes back before the other side closes."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def exchange(url: str, request: bytes) -> list[RawAnswer]:
    """Return the answers, in order. The last request should end the connection: closing our side would cancel it."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(PATIENCE_SECONDS):
            received = await reader.read(-1)
    finally:
        writer.close()
    return list(_answers(received))


def _answers(received: bytes) -> list[RawAnswer]:
    found = []
    while received:
        if not received.startswith(b"HTTP/"):  # the answer to what was taken for HTTP/0.9: a body, and the end
            return [*found, RawAnswer(status=0, headers={}, body=received)]
        head, _, received = received.partition(b"\r\n\r\n")
        status_line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        length = int(headers.get("content-length", len(received)))
        status = int(status_line.split()[1])
        if status != 100:
            found.append(RawAnswer(status=status, headers=headers, body=received[:length]))
            received = received[length:]
    return found
