"""The way out for SDKs that bring httpx2: their requests over our checked connections, within our limits."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping

import httpcore
import httpx2

from stores.egress.body import too_much, unpacked
from stores.egress.client import Egress, Limits, told
from stores.egress.errors import EgressFailed, TimedOut
from stores.egress.targets import port_of, target

# The body leaves here unpacked, and the length is no longer what was declared.
_OF_THE_WIRE = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
_SET_HERE = frozenset({"host", "accept-encoding", "content-length", "transfer-encoding", "connection"})


class EgressTransport(httpx2.AsyncBaseTransport):
    """Each request is checked by itself, so that a redirect an SDK follows is one more request like any.

    `limits.redirects` has no meaning here. SDKs put what breaks into exceptions of their own or into none at all:
    `failure` and `status` keep what became of the last POST; streams that an SDK listens to beside it do not count.
    """

    def __init__(
        self,
        egress: Egress,
        limits: Limits,
        *,
        adds: Mapping[str, str] | None = None,
        sends: frozenset[str] | None = None,
    ) -> None:
        """`adds` are headers of ours; of an SDK's own only those in `sends` go out, if it is given.

        SDKs read the environment: what stands there is the operator's, and no business of whoever is asked.
        """
        self._egress = egress
        self._adds = [(name.encode("ascii"), value.encode()) for name, value in (adds or {}).items()]
        self._sends = sends
        self._limits = limits
        self.failure: EgressFailed | None = None
        self.status: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises EgressFailed, as reading the body does."""
        deadline = time.monotonic() + self._limits.seconds
        try:
            return await self._answered(request, deadline)
        except EgressFailed as error:
            if request.method == "POST":
                self.failure, self.status = error, None
            raise

    async def _answered(self, request: httpx2.Request, deadline: float) -> httpx2.Response:
        limits, url, content = self._limits, target(str(request.url)), await request.aread()
        lines = [(b"host", url.netloc), (b"accept-encoding", b"gzip"), (b"content-length", b"%d" % len(content))]
        theirs = _without(_SET_HERE, request.headers.raw)
        if self._sends is not None:
            theirs = [(name, value) for name, value in theirs if name.decode("latin-1").lower() in self._sends]
        lines += [*theirs, *self._adds]
        waits = {"connect": limits.connect_seconds, "read": limits.read_seconds}
        waits |= {"write": limits.read_seconds, "pool": limits.connect_seconds}
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path),
            headers=lines,
            content=content,
            extensions={"timeout": waits},
        )
        with told(limits):
            async with asyncio.timeout(_left(deadline)):
                answer = await self._egress.connections.handle_async_request(asked)
        names = _without(_OF_THE_WIRE, answer.headers)
        body = _Body(answer, limits, deadline)
        if request.method == "POST":
            self.failure, self.status, body.owner = None, answer.status, self
        declared = _header(answer, b"content-length")
        if request.method != "HEAD" and declared.isdigit() and int(declared) > limits.max_bytes:
            await body.aclose()
            raise too_much(limits.max_bytes)
        return httpx2.Response(answer.status, headers=names, stream=body)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore.Response, limits: Limits, deadline: float) -> None:
        self.owner: EgressTransport | None = None
        self._answer = answer
        self._limits = limits
        self._deadline = deadline
        # One for good: SDKs read on where they stopped, to leave nothing behind on a connection.
        encoding = _header(answer, b"content-encoding")
        self._parts = unpacked(answer.aiter_stream(), encoding, limits.max_bytes)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                with told(self._limits):
                    # For each part anew: whoever reads may do so from several tasks, and a time-out belongs to one.
                    async with asyncio.timeout(_left(self._deadline)):
                        part = await anext(self._parts, None)
                if part is None:
                    return
                yield part
        except EgressFailed as error:
            if self.owner is not None:
                self.owner.failure = error
            raise

    async def aclose(self) -> None:
        await self._answer.aclose()


def outbound_client(transport: EgressTransport, headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
    """Return a client for an SDK: no proxy, no netrc, no redirects of its own; time is the transport's to keep."""
    return httpx2.AsyncClient(transport=transport, headers=headers, timeout=None, trust_env=False)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimedOut("The site did not end its answer in the time it was given.")
    return left


def _without(names: frozenset[str], headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.decode("latin-1").lower() not in names]


def _header(answer: httpcore.Response, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in answer.headers if name.lower() == wanted), "")
