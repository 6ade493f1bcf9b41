"""HTTP/1.1 read strictly: what two readers could understand differently is refused before it is understood.

The framework's parser is lenient. A proxy in front that reads the same bytes another way would see other requests in
them (request smuggling); so would a log, a rate limit, or a check of the tenant.
"""

import re

from sanic.exceptions import BadRequest
from sanic.http.http1 import HTTP_CONTINUE, Http
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from server.errors import MalformedHttp

_LONGEST_CHUNK_LINE = 64
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_METHOD = re.compile(rb"[A-Z]+")
_TARGET = re.compile(rb"(?:/|https?://)[!-\"$-~]*|\*")  # visible ASCII without "#"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}(?:;[\t -~]*)?")


def head_fault(head: bytes) -> str | None:
    """Return what is wrong with a request's head (RFC 9112, sections 2 to 6), None if nothing is."""
    request_line, *fields = head.split(b"\r\n")
    method, target, version = request_line.split(b" ")
    if not _METHOD.fullmatch(method):
        return "The method should be upper-case letters."
    if not _TARGET.fullmatch(target):
        return "The request target should be a path of visible ASCII characters."
    found: dict[bytes, list[bytes]] = {}
    for field in fields:
        read = _FIELD.fullmatch(field)
        if read is None:
            return "A header is not a name, a colon and a value of printable characters on one line."
        found.setdefault(read[1].lower(), []).append(read[2].rstrip(b" \t"))
    return _host_fault(found.get(b"host", []), version) or _length_fault(found, version)


def _host_fault(hosts: list[bytes], version: bytes) -> str | None:
    if len(hosts) != 1 and not (version == b"HTTP/1.0" and not hosts):
        return "The request should have exactly one Host header."
    if hosts and not _HOST.fullmatch(hosts[0]):
        return "The Host header should be a name or an address, and perhaps a port."
    return None


def _length_fault(found: dict[bytes, list[bytes]], version: bytes) -> str | None:
    lengths, encodings = found.get(b"content-length", []), found.get(b"transfer-encoding", [])
    if len(lengths) + len(encodings) > 1:
        return "The request says more than once how long its body is."
    if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
        return "Content-Length should be a whole number in digits 0-9."
    if encodings and (encodings[0] != b"chunked" or version == b"HTTP/1.0"):
        return "The only Transfer-Encoding read here is chunked, in HTTP/1.1."
    return None


class _StrictHttp(Http):
    __slots__ = ()

    async def http1_request_header(self) -> None:
        await super().http1_request_header()  # type: ignore[no-untyped-call]
        fault = head_fault(self.request.head)
        if fault is not None:
            raise self._refused(fault)

    async def read(self) -> bytes | None:
        if self.request_bytes_left == 0 and self._is_chunked:
            await self._check_chunk_line()
        return await super().read()

    @property
    def _is_chunked(self) -> bool:
        body: object = self.request_body  # the framework declares bytes and means a mark
        return body == "chunked"

    async def _check_chunk_line(self) -> None:
        if self.expecting_continue:  # the framework does so after waiting for bytes, here before
            self.expecting_continue = False
            await self._send(HTTP_CONTINUE)
        buffer = self.recv_buffer
        while (end := buffer.find(b"\r\n", 3)) < 0:
            if len(buffer) > _LONGEST_CHUNK_LINE:
                raise self._refused("A chunk begins with a line that is too long.")
            await self._receive_more()
        if buffer[:2] != b"\r\n" or not _CHUNK_LINE.fullmatch(bytes(buffer[2:end])):
            raise self._refused("A chunk should begin with its size in hexadecimal digits and end with a line break.")

    def create_empty_request(self) -> None:
        try:
            super().create_empty_request()
        except BadRequest:  # it stumbles again over the target it is to answer for
            self.url = "/"
            super().create_empty_request()

    def _refused(self, fault: str) -> MalformedHttp:
        # What follows on this connection cannot be told apart from what was refused: nothing more is read from it.
        self.keep_alive = False
        self.request_body = None
        return MalformedHttp(fault)


class StrictProtocol(WebSocketProtocol):
    """What the server speaks with every client."""

    __slots__ = ()
    HTTP_CLASS = _StrictHttp
