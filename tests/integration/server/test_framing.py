"""Malformed HTTP, sent byte by byte over a socket: the application itself refuses it, and closes the connection."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.factories.malformed_http import KEY, MALFORMED, WELL_FORMED, get
from tests.integration.server.exchange import exchange
from tests.integration.server.running import Api, running, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")
LAST = get(b"Connection: close")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    home = tmp_path_factory.mktemp("api")
    shutil.copyfile(_migrated_sqlite, home / "codexos.sqlite3")
    async with running(settings_for(home, None)) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def key(api: Api) -> bytes:
    _, key = await api.tenant()
    return key.encode()


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_requests_are_refused_and_end_the_connection(api: Api, key: bytes, name: str) -> None:
    """One answer, in the envelope, and none to the request that was smuggled behind it."""
    [answer] = await exchange(api.url, MALFORMED[name].replace(KEY, key) + LAST)
    assert (answer.status, answer.json["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert set(answer.json["error"]) == {"code", "message", "details", "request_id"}
    assert answer.headers["connection"] == "close"


async def test_a_stranger_s_chunks_are_not_read_into_the_next_request(api: Api) -> None:
    """Refused before its body was read, a request with broken chunks ends the connection all the same."""
    [answer] = await exchange(api.url, MALFORMED["chunk size with a sign"] + LAST)
    assert answer.status == 401


@pytest.mark.parametrize("name", WELL_FORMED)
async def test_well_formed_requests_are_answered(api: Api, key: bytes, name: str) -> None:
    """Strict is not the same as narrow."""
    answer = (await exchange(api.url, WELL_FORMED[name].replace(KEY, key) + LAST))[0]
    assert answer.status == 200, answer.body


async def test_requests_in_a_row_are_answered_in_a_row(api: Api, key: bytes) -> None:
    """A well-formed request leaves the connection to the next one."""
    answers = await exchange(api.url, WELL_FORMED["chunks"].replace(KEY, key) + get() + LAST)
    assert [answer.status for answer in answers] == [200, 200, 200]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize(("line", "status"), [(b"GET /health", 200), (b"DELETE /api/v1/rag/documents/none", 404)])
async def test_a_body_that_nobody_asked_for_is_passed_over(
    api: Api, key: bytes, caplog: pytest.LogCaptureFixture, framing: bytes, line: bytes, status: int
) -> None:
    """The answer is the usual one, the next request on the connection is read where it begins, no fault is logged."""
    head = line + b" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + key + b"\r\n"
    answers = await exchange(api.url, head + framing + LAST)
    assert [answer.status for answer in answers] == [status, 200]
    assert "not consumed" not in caplog.text


async def test_broken_chunks_that_nobody_asked_for_are_refused(api: Api) -> None:
    """Before the operation is carried out, as if it took a body."""
    broken = b"GET /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"
    [answer] = await exchange(api.url, broken + LAST)
    assert (answer.status, answer.headers["connection"]) == (400, "close")


async def test_what_is_passed_over_has_an_end(api: Api) -> None:
    """More than a mebibyte for an operation that takes no body is too much."""
    length = 1024 * 1024 + 1
    head = b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % length
    [answer] = await exchange(api.url, head + b"x" * length)
    assert (answer.status, answer.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
