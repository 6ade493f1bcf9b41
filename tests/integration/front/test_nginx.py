"""The strict front of deploy/nginx, as it is shipped, before a real API process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from tests import real_parts
from tests.acceptance.system import free_ports
from tests.factories.malformed_http import CHUNKED, KEY, MALFORMED, WELL_FORMED, get
from tests.integration.server.exchange import RawAnswer, exchange
from tests.integration.server.served import ServedApi, served

pytestmark = pytest.mark.asyncio(loop_scope="module")
LAST = get(b"Connection: close")
DOCUMENTS = b"/api/v1/rag/documents"
# A status of 0 is a body without a head: what was read as HTTP/0.9 is answered so.
REFUSALS = {(status, "VALIDATION_ERROR") for status in (0, 400, 501, 505)}


class Front:
    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key.encode()

    async def send(self, request: bytes) -> list[RawAnswer]:
        return await exchange(self.url, request.replace(KEY, self.key) + LAST)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(_migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    home = tmp_path_factory.mktemp("front")
    file = home / "codexos.sqlite3"
    file.write_bytes(_migrated_sqlite.read_bytes())
    url = f"sqlite+aiosqlite:///{file}"
    database = Database(url)
    key = await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()
    [port] = free_ports(1)
    api = ServedApi(home, port, url, CODEXOS_TRUSTED_PROXIES="1")
    with real_parts.nginx(upstream_port=port) as front_url:
        async with served(api):
            yield Front(front_url, key)


# nginx ends a line at a bare line feed and takes a line without a colon for a header without a value. It passes both on
# as the header lines it has read, so both sides read the same; the application refuses them where it stands alone.
MENDED = {"line feed that ends a header", "header without a colon"}


@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - MENDED))
async def test_malformed_requests_end_at_the_front_or_behind_it(front: Front, name: str) -> None:
    """Each is refused in the envelope, by one or the other, and what follows it is at most the request that did."""
    first, *others = await front.send(MALFORMED[name])
    assert (first.status, first.json["error"]["code"]) in REFUSALS
    assert [answer.status for answer in others] in ([], [200])


@pytest.mark.parametrize("name", sorted(MENDED))
async def test_what_the_front_mends_is_one_request(front: Front, name: str) -> None:
    """One answer to it and one to the request behind it."""
    assert [answer.status for answer in await front.send(MALFORMED[name])] == [200, 200]


@pytest.mark.parametrize("name", WELL_FORMED)
async def test_well_formed_requests_pass(front: Front, name: str) -> None:
    """What the application answers, it answers through the front."""
    assert (await front.send(WELL_FORMED[name]))[0].status == 200


async def test_what_only_the_application_can_see_it_refuses(front: Front) -> None:
    """Well-formed headers that must not occur twice, and bodies that are not JSON, go through and end there."""
    twice = get(b"Authorization: Bearer " + KEY, b"Authorization: Bearer " + KEY, target=DOCUMENTS)
    tenants = get(b"Authorization: Bearer " + KEY, b"X-Tenant-ID: a", b"X-Tenant-ID: b", target=DOCUMENTS)
    doubled = CHUNKED + b'1e\r\n{"query": "a", "query": "b"} \r\n0\r\n\r\n'
    for request in (twice, tenants, doubled):
        first = (await front.send(request))[0]
        assert (first.status, first.json["error"]["code"]) == (400, "VALIDATION_ERROR")


async def test_limits_of_the_front_are_told_in_the_envelope(front: Front) -> None:
    """A line and headers that are too long, as the application would."""
    [line, *_] = await front.send(get(target=b"/" + b"a" * 20_000))
    [headers, *_] = await front.send(get(b"X-Note: " + b"a" * 20_000))
    assert [(answer.status, answer.json["error"]["code"]) for answer in (line, headers)] == [
        (414, "PAYLOAD_TOO_LARGE"),
        (431, "PAYLOAD_TOO_LARGE"),
    ]


async def test_the_operators_numbers_stay_inside(front: Front) -> None:
    """Whoever comes through the front finds no metrics, and the same answer as at any path that is none."""
    [metrics, _] = await front.send(get(target=b"/metrics"))
    [nowhere, _] = await front.send(get(target=b"/nowhere"))
    assert [(answer.status, answer.json["error"]["code"]) for answer in (metrics, nowhere)] == [
        (404, "RESOURCE_NOT_FOUND"),
        (404, "RESOURCE_NOT_FOUND"),
    ]


async def test_an_api_that_is_away_is_told_in_the_envelope() -> None:
    """503 or 502, and never nginx's own page."""
    with real_parts.nginx(upstream_port=free_ports(1)[0]) as url:
        [answer] = await exchange(url, LAST)
    assert (answer.status, answer.json["error"]["code"]) == (502, "SERVICE_UNAVAILABLE")
