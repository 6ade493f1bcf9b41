"""From a name to its addresses. A contract, so that tests can let a name change its mind."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Protocol

from stores.egress.addresses import Address, parse_address
from stores.egress.errors import Unreachable


class Resolver(Protocol):
    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return every address of `host`, best first. Raises Unreachable when it has none."""


class SystemResolver:
    """Asks the machine's resolver, which also reads addresses in the odd forms of the C library."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            return list(dict.fromkeys(parse_address(str(address[0])) for *_, address in found))
        except (OSError, UnicodeError, ValueError) as error:
            raise Unreachable(f"The host {host[:200]!r} has no address. Check how it is spelt.") from error
