"""Connections for httpcore: the name is resolved once, each address checked, and a checked address connected to."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence

import httpcore

from stores.egress.addresses import Address, Allowance, denial
from stores.egress.errors import Refused, TimedOut, Unreachable
from stores.egress.resolver import Resolver

# Below are the services of machines, not of people: mail, file sharing, printing.
_FIRST_FREE_PORT = 1024
_WEB_PORTS = (80, 443)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Every socket of an Egress comes from here.

    The check sits under the HTTP client, between resolving and connecting: no redirect, pooled connection or spelling
    of a host goes around it, and there is no second resolution that could answer otherwise.
    """

    def __init__(self, resolver: Resolver, allow: Allowance, *, allowed_only: bool = False) -> None:
        self._resolver = resolver
        self._allow = allow
        self._allowed_only = allowed_only
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self.addresses(host, port)
                return await self._first_to_answer(host, addresses, port, timeout, socket_options)
        except TimeoutError as error:
            raise TimedOut(f"{host} did not answer in time.") from error

    async def addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return where a host is, if all of it may be connected to. Raises Refused, Unreachable.

        A name that means an inner address besides is up to something.
        """
        addresses = await self._resolver.resolve(host, port)
        if not addresses:
            raise Unreachable(f"The host {host!r} has no address. Check how it is spelt.")
        for address in addresses:
            if self._allow.permits(address, port):
                continue
            if (reason := denial(address)) is not None:
                raise Refused(
                    f"{host} is at an address we do not connect to ({reason}). "
                    "Name a public address, or have the operator allow this one."
                )
            if self._allowed_only:
                raise Refused(f"{host} is not spoken to without encryption. Name an https address.")
            if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
                raise Refused(f"Port {port} is not one we connect to. Use 80, 443, or one from {_FIRST_FREE_PORT} on.")
        return addresses

    async def _first_to_answer(
        self,
        host: str,
        addresses: Sequence[Address],
        port: int,
        seconds: float | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        for address in addresses:
            try:
                # An address, not a name: nothing is looked up any more.
                return await self._sockets.connect_tcp(
                    str(address), port, timeout=seconds, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError) as error:
                failure = error
        raise Unreachable(f"Nobody answers at {host} on port {port}.") from failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise Refused("Sockets of this machine are not connected to.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def pool(
    backend: CheckedBackend, *, tls: ssl.SSLContext, connections: int, kept_seconds: float
) -> httpcore.AsyncConnectionPool:
    """Return an HTTP/1.1 client that knows no proxy."""
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=connections,
        max_keepalive_connections=connections if kept_seconds else 0,
        keepalive_expiry=kept_seconds,
        network_backend=backend,
    )
