"""Requests that two readers could understand differently, byte for byte, by name."""

# Bodies are read for those only who may send them: the test puts its key in.
KEY = b"<KEY>"
HEAD = b"Host: api.test\r\nAuthorization: Bearer " + KEY + b"\r\nContent-Type: application/json\r\n"
CHUNKED = b"POST /api/v1/rag/query HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def get(
    *fields: bytes, target: bytes = b"/health", version: bytes = b"HTTP/1.1", host: bytes = b"Host: api.test"
) -> bytes:
    """Return a GET with these header lines after the Host."""
    lines = [b"GET " + target + b" " + version, *([host] if host else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


MALFORMED: dict[str, bytes] = {
    "space before the colon": get(b"X-Tenant-ID : other"),
    "tab before the colon": get(b"X-Tenant-ID\t: other"),
    "header without a colon": get(b"X-Tenant-ID"),
    "header without a name": get(b": other"),
    "folded header": get(b"X-Tenant-ID: one,\r\n other"),
    "NUL in a value": get(b"X-Note: a\0b"),
    "carriage return in a value": get(b"X-Note: a\rb"),
    "line feed that ends a header": get(b"X-Note: a\nAuthorization: Bearer x"),
    "control character in a name": get(b"X\x01Note: a"),
    "NUL in a name": get(b"X\0Note: a"),
    "no Host": get(host=b""),
    "empty Host": get(host=b"Host:"),
    "Host that is no name": get(host=b"Host: a b"),
    "Host with a path": get(host=b"Host: api.test/x"),
    "Host with a user": get(host=b"Host: user@api.test"),
    "two Hosts": get(b"Host: other.test"),
    "two Hosts that agree": get(b"Host: api.test"),
    "two Content-Lengths": get(b"Content-Length: 0", b"Content-Length: 5"),
    "two Content-Lengths that agree": get(b"Content-Length: 0", b"Content-Length: 0"),
    "Content-Length as a list": get(b"Content-Length: 0, 0"),
    "Content-Length with a sign": get(b"Content-Length: +0"),
    "negative Content-Length": get(b"Content-Length: -1"),
    "Content-Length in hexadecimal": get(b"Content-Length: 0x0"),
    "Content-Length with an underscore": get(b"Content-Length: 1_0"),
    "Content-Length in other digits": get("Content-Length: ٠".encode()),
    "empty Content-Length": get(b"Content-Length:"),
    "Content-Length and Transfer-Encoding": get(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "Transfer-Encoding and Content-Length": get(b"Transfer-Encoding: chunked", b"Content-Length: 5") + b"0\r\n\r\n",
    "two Transfer-Encodings": get(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "Transfer-Encoding with a list": get(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "Transfer-Encoding that is unknown": get(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "Transfer-Encoding identity": get(b"Transfer-Encoding: identity"),
    "Transfer-Encoding in HTTP/1.0": get(b"Transfer-Encoding: chunked", version=b"HTTP/1.0") + b"0\r\n\r\n",
    "chunk size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with a sign": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk size with an underscore": CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n",
    "chunk size after a space": CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
    "chunk that ends with other bytes": CHUNKED + b"2\r\n{}XX0\r\n\r\n",
    "chunk size that overflows": CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "lower-case method": get().replace(b"GET", b"get", 1),
    "method with a space": get().replace(b"GET", b"G ET", 1),
    "method with a NUL": get().replace(b"GET", b"G\0T", 1),
    "two spaces in the request line": get().replace(b"GET ", b"GET  ", 1),
    "target with a control character": get(target=b"/hea\x01lth"),
    "target with a NUL": get(target=b"/health\0"),
    "target that is not ASCII": get(target="/heälth".encode()),
    "target without a slash": get(target=b"health"),
    "other version": get(version=b"HTTP/1.2"),
    "version with a space": get(version=b"HTTP/1.1 "),
    "lower-case version": get(version=b"http/1.1"),
    "no version": get(version=b"").replace(b" \r\n", b"\r\n", 1),
}

# Requests that only look odd.
WELL_FORMED: dict[str, bytes] = {
    "plain": get(),
    "port in Host": get(host=b"Host: api.test:8000"),
    "IPv6 Host": get(host=b"Host: [::1]:8000"),
    "HTTP/1.0 without Host": get(version=b"HTTP/1.0", host=b""),
    "tab before the value": get(b"X-Note:\ta"),
    "no space before the value": get(b"X-Note:a"),
    "empty value": get(b"X-Note:"),
    "value that is not ASCII": get("X-Note: ä".encode()),
    "query": get(target=b"/health?a=b&c=%20"),
    "chunks": CHUNKED + b'a\r\n{"query": \r\nA\r\n"hello"}  \r\n0\r\n\r\n',
    "chunk with an extension": CHUNKED + b'12;name=value\r\n{"query": "hello"}\r\n0\r\n\r\n',
}
