"""Idempotency over two server processes: races, crashes at every point, kills at random. Never two effects."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from tests.acceptance.system import free_ports
from tests.fakes.crashing_api import POINTS, STATUS
from tests.integration.server.histories import Outcome, Seen, faults
from tests.integration.server.served import ServedApi, served

INGEST, DOCUMENTS = "/api/v1/rag/ingest", "/api/v1/rag/documents"
LEASE = {"CODEXOS_IDEMPOTENCY_LEASE_SECONDS": "1"}


@pytest.fixture
async def key(database_url: str) -> AsyncIterator[str]:
    database = Database(database_url)
    yield await ensure_development_key(database, SystemClock(), kept=None)
    await database.dispose()


def text(name: str) -> dict[str, str]:
    return {"source_type": "text", "source": f"The text of {name}."}


async def post(client: httpx.AsyncClient, name: str) -> Seen:
    """Try once, and write down what was seen."""
    begun = time.monotonic()
    try:
        answer = await client.post(INGEST, json=text(name), headers={"idempotency-key": name})
    except httpx.TransportError:
        return Seen(begun=begun, ended=time.monotonic(), outcome=Outcome.UNKNOWN)
    ended = time.monotonic()
    if answer.status_code == 409:
        assert answer.json()["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS", answer.text
        return Seen(begun=begun, ended=ended, outcome=Outcome.IN_PROGRESS)
    assert answer.status_code == 202, answer.text
    replayed = "idempotent-replayed" in answer.headers
    outcome = Outcome.REPLAYED if replayed else Outcome.EXECUTED
    return Seen(begun=begun, ended=ended, outcome=outcome, answer=answer.text)


async def until_answered(client: httpx.AsyncClient, name: str) -> list[Seen]:
    """Try again, as a client should, until there is an answer."""
    tries = [await post(client, name)]
    while tries[-1].answer is None:
        await asyncio.sleep(0.05)
        tries.append(await post(client, name))
    return tries


async def documents(client: httpx.AsyncClient) -> int:
    total: int = (await client.get(DOCUMENTS)).json()["total"]
    return total


@pytest.mark.parametrize("point", POINTS)
async def test_a_crash_at_any_point_loses_nothing_and_doubles_nothing(
    point: str, database_url: str, key: str, tmp_path: Path
) -> None:
    """The process dies there; another one answers the retry, and there is one document."""
    port, another = free_ports(2)
    crashing = ServedApi(tmp_path, port, database_url, command=["tests.fakes.crashing_api", point], **LEASE)
    healthy = ServedApi(tmp_path, another, database_url, **LEASE)
    async with served(crashing, healthy), crashing.client(key) as doomed, healthy.client(key) as client:
        first = await post(doomed, "k")
        assert (first.outcome, crashing.ended()) == (Outcome.UNKNOWN, STATUS)
        tries = await until_answered(client, "k")
        assert await documents(client) == 1
    committed = point in ("committed", "answered")
    assert tries[-1].outcome is (Outcome.REPLAYED if committed else Outcome.EXECUTED)
    assert faults([first, *tries]) == []


@pytest.mark.parametrize(("keys", "kills"), [(120, 3), pytest.param(2_000, 20, marks=pytest.mark.slow)])
async def test_keys_raced_by_eight_clients_have_one_effect_each(
    keys: int, kills: int, database_url: str, key: str, tmp_path: Path
) -> None:
    """Eight clients per key over two processes, one or the other killed now and then: the history is linearizable."""
    apis = [ServedApi(tmp_path, port, database_url, **LEASE) for port in free_ports(2)]
    histories: dict[str, list[Seen]] = defaultdict(list)
    names = [f"key-{number}" for number in range(keys)]
    finished = asyncio.Event()
    async with served(*apis), apis[0].client(key) as one, apis[1].client(key) as other:

        async def client_of(number: int) -> None:
            dice = random.Random(number)
            for name in dice.sample(names, keys) if number % 2 else names:
                histories[name] += await until_answered(dice.choice((one, other)), name)

        async def kill_now_and_then() -> None:
            dice = random.Random(0)
            for _ in range(kills):
                await asyncio.sleep(dice.uniform(0.2, 1.0))
                if finished.is_set():
                    return
                killed = dice.choice(apis)
                killed.kill()
                killed.begin()
                await killed.answering()

        killing = asyncio.create_task(kill_now_and_then())
        await asyncio.gather(*map(client_of, range(8)))
        finished.set()
        await killing
        count = await documents(one)
    assert count == keys
    assert {name: found for name, history in histories.items() if (found := faults(history))} == {}
    assert all(sum(seen.answer is not None for seen in history) == 8 for history in histories.values())


async def test_fifty_at_once_over_two_processes_have_one_effect(database_url: str, key: str, tmp_path: Path) -> None:
    """One executes; the others are told that it is under way, or what it was answered."""
    apis = [ServedApi(tmp_path, port, database_url) for port in free_ports(2)]
    async with served(*apis), apis[0].client(key) as one, apis[1].client(key) as other:
        seen = await asyncio.gather(*(post((one, other)[number % 2], "k") for number in range(50)))
        later = await post(other, "k")
        assert await documents(one) == 1
    outcomes = Counter(each.outcome for each in seen)
    assert outcomes[Outcome.EXECUTED] == 1
    assert outcomes.keys() <= {Outcome.EXECUTED, Outcome.REPLAYED, Outcome.IN_PROGRESS}
    assert {each.answer for each in (*seen, later)} - {None} == {later.answer}
