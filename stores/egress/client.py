"""Send one request out and bring the answer back, within limits that hold whatever the other side does."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from stores.egress.addresses import Allowance
from stores.egress.backend import CheckedBackend, pool
from stores.egress.body import too_much, unpacked
from stores.egress.errors import Refused, TimedOut, Unreachable
from stores.egress.resolver import Resolver, SystemResolver
from stores.egress.targets import follow, origin, port_of, target

_MEBIBYTE = 1024 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_FOLLOWED_METHODS = ("GET", "HEAD")
# All else a caller sends may be a credential, and another origin is another party.
_GOES_ALONG = frozenset({"accept", "accept-language", "user-agent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much. `seconds` is for all of it, redirects included; headers end at 100 KiB by themselves."""

    seconds: float = 60.0
    connect_seconds: float = 10.0
    read_seconds: float = 15.0
    max_bytes: int = 50 * _MEBIBYTE
    redirects: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The head of an answer. `url` is where it came from after redirects; header names are in lower case."""

    url: str
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Reply):
    """A whole answer, unpacked."""

    content: bytes


class Egress:
    """One a process and event loop. Knows no proxies, cookies or netrc of its environment."""

    def __init__(
        self,
        *,
        allow: Allowance | None = None,
        resolver: Resolver | None = None,
        user_agent: str = "CodexOS",
        tls: ssl.SSLContext | None = None,
        connections: int = 32,
        allowed_only: bool = False,
        kept_seconds: float = 0.0,
    ) -> None:
        """`allowed_only` goes nowhere but where the operator allowed it: for what must not cross the open internet.

        Connections stay open for `kept_seconds` after an answer. They lead where they led when they were checked.
        """
        self._user_agent = user_agent
        self._closing = [] if kept_seconds else [("connection", "close")]
        self._pool = pool(
            CheckedBackend(resolver or SystemResolver(), allow or Allowance(), allowed_only=allowed_only),
            tls=tls or httpx.create_ssl_context(),
            connections=connections,
            kept_seconds=kept_seconds,
        )

    @property
    def connections(self) -> httpcore.AsyncConnectionPool:
        """What `transport` sends by: every connection of it is checked as ours are."""
        return self._pool

    @property
    def user_agent(self) -> str:
        return self._user_agent

    async def close(self) -> None:
        await self._pool.aclose()

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        limits: Limits | None = None,
    ) -> Received:
        """Return the whole answer, whatever its status. Raises EgressFailed."""
        async with self.stream(url, method=method, headers=headers, content=content, limits=limits) as (reply, body):
            whole = b"".join([part async for part in body])
        return Received(url=reply.url, status=reply.status, headers=reply.headers, content=whole)

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        limits: Limits | None = None,
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        """Yield the answer's head and its unpacked body, which ends or raises EgressFailed within `limits`."""
        limits = limits or Limits()
        sent = {"user-agent": self._user_agent, "accept": "*/*"}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        with told(limits):
            async with asyncio.timeout(limits.seconds):
                asked = target(url)
                for _ in range(limits.redirects + 1):
                    async with self._exchange(asked, method, sent, content, limits) as (reply, body):
                        location = _redirection(reply, method)
                        if location is None:
                            yield reply, body
                            return
                    following = follow(asked, location)
                    if origin(following) != origin(asked):
                        sent = {name: value for name, value in sent.items() if name in _GOES_ALONG}
                    asked = following
                raise Refused(f"The page redirects more than {limits.redirects} times.")

    @asynccontextmanager
    async def _exchange(
        self, url: httpx.URL, method: str, headers: Mapping[str, str], content: bytes | None, limits: Limits
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        lines = [("host", url.netloc.decode("ascii")), ("accept-encoding", "gzip"), *self._closing]
        lines += [(name, value) for name, value in headers.items() if name not in dict(lines)]
        if content is not None and "content-length" not in headers:
            lines.append(("content-length", str(len(content))))
        waits = {"connect": limits.connect_seconds, "read": limits.read_seconds}
        waits |= {"write": limits.read_seconds, "pool": limits.connect_seconds}
        async with self._pool.stream(
            method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=port_of(url), target=url.raw_path),
            headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in lines],
            content=content,
            extensions={"timeout": waits},
        ) as response:
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            reply = Reply(url=str(url), status=response.status, headers=names)
            declared = names.get("content-length", "")
            if method != "HEAD" and declared.isdigit() and int(declared) > limits.max_bytes:
                raise too_much(limits.max_bytes)
            yield reply, unpacked(response.aiter_stream(), names.get("content-encoding", ""), limits.max_bytes)


def _redirection(reply: Reply, method: str) -> str | None:
    if reply.status in _REDIRECTS and method in _FOLLOWED_METHODS:
        return reply.headers.get("location")
    return None


@contextmanager
def told(limits: Limits) -> Iterator[None]:
    """Turn what a connection dies of into a sentence; what the system says about it stays inside."""
    try:
        yield
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise TimedOut(f"The site did not answer in time; it has {limits.seconds:g} seconds.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise Unreachable(_broken(error)) from error


def _broken(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "The site's certificate is not one we trust, or its TLS is too old."
        cause = cause.__cause__ or cause.__context__
    return "The site ended the connection, or does not speak HTTP."
