"""Every refusal is the envelope, whoever refuses: the room, the hall, the framework, or the parser of HTTP itself."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from jsonschema import validate

from core.log import context
from core.tokens import new_api_key
from server import errors
from server.auth.principal import Scope
from server.openapi.models import ErrorEnvelope
from stores.blobs import BlobStore
from tests.integration.server.running import Api, running, settings_for

UPLOAD_LIMIT = 64 * 1024
DOCUMENTS = "/api/v1/rag/documents"
INGEST = "/api/v1/rag/ingest"
QUERY = "/api/v1/rag/query"
pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = ErrorEnvelope.model_json_schema(mode="serialization")
JSON = {"content-type": "application/json"}
# Every response tells the limit, those of 413, 500 and 503 as well.
LIMITS_TOLD = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Yield one server for the whole module: nothing here leaves a trace, and refusing is the same on any database."""
    home = tmp_path_factory.mktemp("api")
    shutil.copyfile(_migrated_sqlite, home / "codexos.sqlite3")
    async with running(settings_for(home, None, max_upload_bytes=UPLOAD_LIMIT)) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    _, key = await api.tenant()
    async with api.client(key) as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    validate(answer.json(), SCHEMA)
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert set(LIMITS_TOLD) <= set(answer.headers)
    return error


async def raw(api: Api, request: bytes) -> httpx.Response:
    """Send bytes that no client would send, and read the answer until the server closes."""
    address = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    writer.close()
    return httpx.Response(int(head[0].split()[1]), headers=headers, content=body)


async def test_unknown_path_and_method(client: httpx.AsyncClient) -> None:
    """404 and, with what is allowed, 405."""
    refused(await client.get("/api/v1/nothing"), 404, "RESOURCE_NOT_FOUND")
    answer = await client.put(DOCUMENTS)
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic YTpi", "Bearer nonsense", pytest.param(f"Bearer {new_api_key('live')}", id="unknown")],
)
async def test_no_or_unknown_key(api: Api, header: str | None) -> None:
    """401 with the scheme that is wanted; a well-formed key that nobody has is told apart by nothing."""
    async with api.client() as client:
        answer = await client.get(DOCUMENTS, headers={"authorization": header} if header is not None else {})
    refused(answer, 401, "AUTHENTICATION_FAILED")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers(api: Api) -> None:
    """Refused before either is looked at."""
    _, key = await api.tenant()
    bearer = ("authorization", f"Bearer {key}")
    async with api.client() as client:
        refused(await client.get(DOCUMENTS, headers=[bearer, bearer]), 400, "VALIDATION_ERROR")


async def test_a_key_without_the_scope(api: Api) -> None:
    """A reader may read and not write, and the other way round."""
    tenant_id, reader = await api.tenant([Scope.RAG_READ])
    writer = await api.key(tenant_id, [Scope.RAG_WRITE])
    async with api.client(reader) as client:
        assert (await client.get(DOCUMENTS)).status_code == 200
        error = refused(await client.post(INGEST, json={}), 403, "AUTHORIZATION_FAILED")
        assert error["details"] == {"required_scope": "rag:write"}
    async with api.client(writer) as client:
        refused(await client.post(QUERY, json={"query": "x"}), 403, "AUTHORIZATION_FAILED")


@pytest.mark.parametrize("wrong_id", ["1", "%00", "0" * 36, "{}".format("a" * 3000), "01A1-..%2f..", "%F0%9F%98%80"])
async def test_what_is_no_id_is_not_found(client: httpx.AsyncClient, wrong_id: str) -> None:
    """Whatever stands in the id's place, no database is bothered with it."""
    refused(await client.get(f"{DOCUMENTS}/{wrong_id}"), 404, "RESOURCE_NOT_FOUND")
    refused(await client.get(f"/api/v1/rag/jobs/{wrong_id}"), 404, "RESOURCE_NOT_FOUND")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/json2"])
async def test_wrong_content_type(client: httpx.AsyncClient, media_type: str) -> None:
    """415 says what is taken."""
    answer = await client.post(INGEST, content=b"{}", headers={"content-type": media_type})
    error = refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert error["details"]["accepted"] == ["application/json", "multipart/form-data"]


async def test_packed_bodies_are_not_unpacked(client: httpx.AsyncClient) -> None:
    """A content encoding could make a small body large."""
    answer = await client.post(INGEST, content=b"{}", headers=JSON | {"content-encoding": "gzip"})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"query": "x", "query": "y"}',
        b'{"query": "\\u0000"}',
        b'{"query": "\\ud800"}',
        b'{"query": "x", "limit": NaN}',
        b'{"query": "x", "unknown": 1}',
        b'{"query": "x", "filters": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}",
        "{'query': 'x'}".encode("utf-16"),
    ],
)
async def test_wrong_json(client: httpx.AsyncClient, body: bytes) -> None:
    """Each ambiguity of JSON is a violation."""
    error = refused(await client.post(QUERY, content=body, headers=JSON), 400, "VALIDATION_ERROR")
    assert error["details"]["violations"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/source_type", "/source"]),
        ({"source_type": "text", "source": ""}, ["/source"]),
        ({"source_type": "file", "source": "x"}, ["/source_type"]),
        ({"source_type": "url", "source": "no address"}, ["/source"]),
        ({"source_type": "github", "source": "no repository"}, ["/source"]),
        ({"source_type": "text", "source": "x", "chunking_strategy": "clever"}, ["/chunking_strategy"]),
        ({"source_type": "text", "source": "x", "chunk_tokens": 255}, ["/chunk_tokens"]),
        ({"source_type": "text", "source": "x", "id": "mine", "created_at": "2026-01-01"}, ["/id", "/created_at"]),
        (
            {"source_type": "text", "source": "x", "metadata": {"$a": 1}, "collection": "a b"},
            ["/metadata", "/collection"],
        ),
    ],
)
async def test_wrong_fields_of_a_text(client: httpx.AsyncClient, body: dict[str, Any], pointers: list[str]) -> None:
    """All of them are named, and nothing is stored."""
    error = refused(await client.post(INGEST, json=body), 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in error["details"]["violations"]] == pointers
    assert (await client.get(DOCUMENTS)).json()["total"] == 0


@pytest.mark.parametrize(
    ("fields", "files", "pointers"),
    [
        ({"source_type": "file"}, {}, ["/file"]),
        ({"source_type": "file"}, {"document": ("a.txt", b"x")}, ["/file", "/document"]),
        ({"source_type": "file"}, {"file": ("a.txt", b"")}, ["/file"]),
        ({"source_type": "file", "metadata": "{"}, {"file": ("a.txt", b"x")}, ["/metadata"]),
        ({"source_type": "file", "metadata": '{"a":1,"a":2}'}, {"file": ("a.txt", b"x")}, ["/metadata"]),
        ({"source_type": "file", "metadata": "[]"}, {"file": ("a.txt", b"x")}, ["/metadata"]),
        ({"source_type": "file", "chunk_tokens": "many"}, {"file": ("a.txt", b"x")}, ["/chunk_tokens"]),
        ({"source_type": "file", "chunk_tokens": "٣٠"}, {"file": ("a.txt", b"x")}, ["/chunk_tokens"]),
        ({"source_type": "file", "chunking_strategy": "clever"}, {"file": ("a.txt", b"x")}, ["/chunking_strategy"]),
        ({"source_type": "file", "source": "a\0b"}, {"file": ("a.txt", b"x")}, ["/source"]),
    ],
)
async def test_wrong_parts_of_a_form(
    client: httpx.AsyncClient, fields: dict[str, str], files: dict[str, tuple[str, bytes]], pointers: list[str]
) -> None:
    """Missing, empty, unknown and unreadable parts are named."""
    parts: dict[str, Any] = {name: (None, value) for name, value in fields.items()} | files
    error = refused(await client.post(INGEST, files=parts), 400, "VALIDATION_ERROR")
    assert [fault["pointer"] for fault in error["details"]["violations"]] == pointers


async def test_a_form_that_is_none(client: httpx.AsyncClient) -> None:
    """No boundary, no such boundary, no end."""
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        answer = await client.post(INGEST, content=b"--y\r\n", headers={"content-type": content_type})
        refused(answer, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("size", [UPLOAD_LIMIT + 1, 100_000_000])
async def test_a_body_over_the_limit(client: httpx.AsyncClient, size: int) -> None:
    """413 in the envelope, whether the length is announced or not; the connection and the server go on."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(0, size, 50_000):
            yield b"x" * min(50_000, size)

    file = {"file": ("big.bin", b"x" * size)}
    announced = await client.post(INGEST, data={"source_type": "file"}, files=file)
    unannounced = await client.post(INGEST, content=chunks(), headers=JSON)
    for answer in (announced, unannounced):
        error = refused(answer, 413, "PAYLOAD_TOO_LARGE")
        assert error["details"] == {"limit_bytes": UPLOAD_LIMIT}
    assert (await client.get("/health")).status_code == 200


async def test_a_large_body_is_refused_before_it_is_read_for_a_stranger(api: Api) -> None:
    """Without a key not a byte of the body is waited for."""
    answer = await raw(api, b"POST /api/v1/rag/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    refused(answer, 401, "AUTHENTICATION_FAILED")


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"GET / HTTP/9\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"GET /health HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"GET /health HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "VALIDATION_ERROR"),
        (b"GET /health HTTP/1.1\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", 417, "VALIDATION_ERROR"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", 414, "PAYLOAD_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_what_is_not_http(api: Api, request_bytes: bytes, status: int, code: str) -> None:
    """Even a request that could not be read gets the envelope and an id."""
    refused(await raw(api, request_bytes), status, code)


@pytest.mark.parametrize(
    ("given", "kept"), [("a-sane_id:1", True), ("", False), ("x" * 129, False), ('"quoted"', False), ("ä", False)]
)
async def test_request_ids(client: httpx.AsyncClient, given: str, kept: bool) -> None:
    """A sane id is the client's own, on answers good and bad; anything else is replaced."""
    for path in ("/health", "/nowhere"):
        answer = await client.get(path, headers=[(b"x-request-id", given.encode("latin-1"))])
        assert (answer.headers["x-request-id"] == given) is kept
        assert answer.headers["x-request-id"]


class Written:
    """A log that keeps what is written to it, with what the hall has bound."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **context(), **fields})


async def test_our_own_failure_tells_nothing(
    api: Api, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client gets a fixed sentence; the log gets the exception, under the same request id."""
    written = Written()
    monkeypatch.setattr(errors, "log", written)
    monkeypatch.setattr(BlobStore, "_put", lambda *_: (_ for _ in ()).throw(OSError("/secret/path is full")))
    answer = await client.post(INGEST, json={"source_type": "text", "source": "x"})
    error = refused(answer, 500, "INTERNAL_ERROR")
    assert error["message"] == "Something went wrong on our side. The request id helps us find it."
    assert "secret" not in answer.text
    [line] = written.lines
    assert (line["event"], line["request_id"], type(line["exc_info"])) == (
        "request.failed",
        error["request_id"],
        OSError,
    )


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=101", "/limit"),
        ("limit=%D9%A1", "/limit"),
        ("limit=1_0", "/limit"),
        ("skip=-1", "/skip"),
        ("limit=1&limit=2", "/limit"),
        ("colour=red", "/colour"),
        ("status=lost", "/status"),
        ("search=%00", "/search"),
        ("search=%ff", "/search"),
    ],
)
async def test_wrong_parameters_are_named(client: httpx.AsyncClient, query: str, pointer: str) -> None:
    """Out of bounds, digits of other scripts, doubled, unknown, not text."""
    answer = await client.get(f"{DOCUMENTS}?{query}")
    assert answer.status_code == 400, answer.text
    assert [fault["pointer"] for fault in answer.json()["error"]["details"]["violations"]] == [pointer]


@pytest.mark.parametrize(
    ("accept", "is_problem"),
    [
        ("application/problem+json", True),
        ("application/json, application/problem+json", True),
        ("text/html, Application/Problem+JSON; q=0.5", True),
        ("application/json;q=0.4, application/problem+json;q=0.3", False),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=2", False),
        ("application/json", False),
        ("*/*", False),
    ],
)
async def test_problem_details_for_whoever_asks_for_them(
    client: httpx.AsyncClient, accept: str, is_problem: bool
) -> None:
    """RFC 9457 with the same code, for the hall's, the room's and the framework's refusals."""
    headers = {"accept": accept}
    for answer, status, code in (
        (await client.get(f"{DOCUMENTS}/none", headers=headers), 404, "RESOURCE_NOT_FOUND"),
        (await client.get("/nowhere", headers=headers), 404, "RESOURCE_NOT_FOUND"),
        (await client.post(QUERY, json={}, headers=headers), 400, "VALIDATION_ERROR"),
    ):
        if not is_problem:
            refused(answer, status, code)
            continue
        body = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert (body["status"], body["code"], body["type"]) == (status, code, f"/docs#{code}")
        assert body["instance"] == f"urn:codexos:request:{answer.headers['x-request-id']}"
        assert body["title"]
        assert body["detail"]
        assert answer.headers["vary"] == "Accept"
