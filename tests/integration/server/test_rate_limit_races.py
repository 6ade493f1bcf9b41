"""The rate limit over two server processes: exactly what theory allows, and never a hanging request without Redis."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.redis import connect
from stores.sql.engine import Database
from tests import real_parts
from tests.acceptance.system import free_ports
from tests.integration.server.crowd import crowd
from tests.integration.server.served import ServedApi, served

A_MINUTE = 20
INTERVAL = 60_000_000 // A_MINUTE  # microseconds from one request to the next, once the burst is spent
LIMIT = {"CODEXOS_RATE_LIMIT_AUTHENTICATED_PER_MINUTE": str(A_MINUTE)}
# What is no id is answered without a look into the database: the limit is what is tried here.
PATH = "/api/v1/rag/documents/none"


@pytest.fixture
async def key(_migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[str]:
    (tmp_path / "codexos.sqlite3").write_bytes(_migrated_sqlite.read_bytes())
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'codexos.sqlite3'}")
    yield await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()


def apis(home: Path, redis_url: str | None) -> list[ServedApi]:
    return [ServedApi(home, port, "", redis_url, **LIMIT) for port in free_ports(2)]


async def counts_in(redis: Redis) -> set[str]:
    return {name async for name in redis.scan_iter("codexos:limit:*")}


@pytest.mark.parametrize("tries", [20_000, pytest.param(60_000, marks=pytest.mark.slow)])
async def test_as_many_are_allowed_as_theory_says(tries: int, redis_url: str, key: str, tmp_path: Path) -> None:
    """Tens of thousands of tries at once over two processes: allowed minus theory is 0."""
    pair = apis(tmp_path, redis_url)
    request = f"GET {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n".encode()
    async with served(*pair), pair[0].client(key) as client, connect(redis_url) as redis:
        others = await counts_in(redis)
        assert (await client.get(PATH)).status_code == 404
        [name] = await counts_in(redis) - others
        began = int(await redis.get(name)) - INTERVAL  # the moment of the first request, by Redis' clock
        statuses = await crowd([api.url for api in pair], request, requests=tries, connections=200)
        ended = await redis.time()
        arrival = int(await redis.get(name))
        await redis.delete(name)
    allowed = statuses[404] + 1
    theory = A_MINUTE + (ended[0] * 1_000_000 + ended[1] - began) // INTERVAL
    print(f"tries {tries}, allowed {allowed}, theory {theory}")
    assert (sum(statuses.values()), set(statuses)) == (tries, {404, 429})
    assert allowed * INTERVAL == arrival - began  # each allowed request is one step of the count, and no step is lost
    assert allowed == theory


async def test_without_redis_requests_are_served_and_limited_by_each_process(key: str, tmp_path: Path) -> None:
    """Stopped before the start: each process allows the limit and no more."""
    pair = apis(tmp_path, None)
    request = f"GET {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n".encode()
    async with served(*pair):
        began = time.monotonic()
        statuses = await crowd([api.url for api in pair], request, requests=2_000, connections=20)
        dripped = int((time.monotonic() - began) * A_MINUTE / 60) + 1
    assert 2 * A_MINUTE <= statuses[404] <= 2 * (A_MINUTE + dripped)


async def test_a_redis_that_hangs_delays_few_requests_and_no_request_long(key: str, tmp_path: Path) -> None:
    """SIGSTOP: connections are accepted and nothing is answered. Then it wakes up and counts again."""
    with real_parts.redis_process() as (redis_url, process):
        [api, _] = apis(tmp_path, redis_url)
        async with served(api), api.client(key) as client:
            assert (await client.get(PATH)).headers["x-ratelimit-remaining"] == str(A_MINUTE - 1)
            process.send_signal(signal.SIGSTOP)
            try:
                seconds = await asyncio.gather(*(timed(client) for _ in range(10)))
                again = [await timed(client) for _ in range(10)]
            finally:
                process.send_signal(signal.SIGCONT)
            assert max(seconds) < 2
            assert max(again) < 0.4, "one slow answer is enough to stop asking for a while"


async def timed(client: httpx.AsyncClient) -> float:
    began = time.monotonic()
    answer = await client.get(PATH)
    assert answer.status_code == 404
    return time.monotonic() - began
