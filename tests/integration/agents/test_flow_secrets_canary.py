"""No secret that a flow sends out is anywhere but under its seal, also where the other side or an error repeats it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from core.ids import new_id
from server.auth.api_keys.service import create_key, create_tenant
from server.auth.principal import Scope
from stores import embedded_redis
from stores.sql.engine import Database
from tests.acceptance.system import free_ports
from tests.factories.flows import flow
from tests.fakes.receiver import receiving
from tests.fakes.website import Asked, answer, website
from tests.integration.server.guarded import SECRETS
from tests.integration.server.hooked import ENDPOINTS
from tests.integration.server.served import ServedApi, served
from tests.integration.server.test_canary import Canaries, Visitor, counted, encodings, stored
from tests.integration.server.test_tracing import Collector, collector

__all__ = ["collector"]

EXECUTE, EXECUTIONS = "/api/v1/agents/execute", "/api/v1/agents/executions"
CARELESS = ("tests.fakes.careless_agents",)
_SECONDS = 60


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is written to it is the same."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


def echoed(asked: Asked) -> bytes:
    """Repeat the secret in every encoding but backwards, which nobody writes by accident."""
    said = {name: each.decode() for name, each in encodings(asked.headers["x-key"]).items() if name != "reversed"}
    return answer(json.dumps(said), content_type="application/json", x_key=asked.headers["x-key"])


def asking(url: str, name: str) -> dict[str, Any]:
    """Send a secret, hand what comes back to a model and out of the flow."""
    said = [f"{{{{ nodes.ask.output.body.{encoding} }}}}" for encoding in encodings("x") if encoding != "reversed"]
    return flow(
        {
            "in": ("input", {}),
            "ask": ("http", {"url": url, "headers": {"X-Key": {"$secret": name}}}),
            "say": ("llm", {"prompt": "What was said? {{ nodes.ask.output }}", "context": said}),
            "out": ("output", {"value": {"asked": "{{ nodes.ask.output }}", "said": "{{ nodes.say.output }}"}}),
        },
        ("in", "ask"),
        ("ask", "say"),
        ("say", "out"),
    )


async def execute(ask: Visitor, key: str, definition: dict[str, Any]) -> dict[str, Any]:
    """Run a new flow to its end, as a retried request; return the execution."""
    made = await ask(201, "POST", "/api/v1/agents/flows", key=key, json=definition | {"name": new_id()})
    keyed = {"idempotency-key": new_id()}
    body = {"flow_id": made["flow_id"], "version": 1, "mode": "background"}
    for _ in range(2):
        started = await ask(202, "POST", EXECUTE, key=key, headers=keyed, json=body)
    path = f"{EXECUTIONS}/{started['execution_id']}"
    async with asyncio.timeout(_SECONDS):
        while (found := await ask(200, "GET", path, key=key))["status"] in ("queued", "running"):
            await asyncio.sleep(0.05)
    steps = await ask(200, "GET", f"{path}/steps", key=key)
    events = await ask(200, "GET", f"{path}/events", key=key)
    return {**found, "steps": steps, "told": events}


async def lived(ask: Visitor, canaries: Canaries, key: str, url: str) -> Sequence[dict[str, Any]]:
    """Send every secret to a site that repeats it, and into an error of ours."""
    executions = []
    for name, secret in canaries.secrets.items():
        await ask(201, "POST", SECRETS, key=key, json={"key": name, "value": secret})
        executions += [await execute(ask, key, asking(f"{url}/{page}", name)) for page in ("echo", "breaks")]
    return executions


async def prepared(database: Database) -> tuple[Canaries, str]:
    # The dots and question marks make base64 of it differ from that for URLs.
    secrets = {"plain": f"sk-{new_id()}", "quoted": f'canary "{new_id()}" ???>>>~~~/+'}
    assert "/" in base64.b64encode(secrets["quoted"].encode()).decode()
    tenant_id = await create_tenant(database, SystemClock(), "canary")
    key = await create_key(database, SystemClock(), tenant_id, name="canary", mode="live", scopes=tuple(Scope))
    return Canaries(secrets=secrets), key


async def test_no_secret_of_a_flow_is_anywhere_but_under_its_seal(
    database: Database, database_url: str, redis_url: str, tmp_path: Path, collector: Collector
) -> None:
    """0, in none of seven encodings: journal, events, answers, deliveries, spans, logs at DEBUG and every table."""
    canaries, key = await prepared(database)
    settings = {
        "CODEXOS_LOG_LEVEL": "DEBUG",
        "CODEXOS_EGRESS_ALLOW": "127.0.0.0/8",
        "CODEXOS_TRACES_ENDPOINT": collector.address,
    }
    [port] = free_ports(1)
    api = ServedApi(tmp_path, port, database_url, redis_url, **settings)
    agents = ServedApi(tmp_path, 1, database_url, redis_url, CARELESS, **settings)
    dispatcher = ServedApi(tmp_path, 2, database_url, redis_url, ("server", "dispatcher"), **settings)
    ask = Visitor(api, canaries)
    try:
        agents.begin()
        dispatcher.begin()
        with receiving() as receiver:
            async with served(api), website({"/echo": echoed}) as site:
                await ask(201, "POST", ENDPOINTS, key=key, json={"url": f"{receiver.url}/h", "event_types": ["*"]})
                executions = await lived(ask, canaries, key, site.url)
                assert {each.headers["x-key"] for each in site.asked} == set(canaries.secrets.values())
                async with asyncio.timeout(_SECONDS):
                    while sum(b"execution." in each.body for each in receiver.told) < len(executions):
                        await asyncio.sleep(0.05)
                    # Spans are sent every few seconds, and the API is about to be killed.
                    while len(collector.named("POST /api/v1/agents/execute")) < len(executions):
                        await asyncio.sleep(0.05)
                delivered = b"\n".join(each.body + str(each.headers).encode() for each in receiver.told)
    finally:
        agents.kill()
        dispatcher.kill()
    assert [each["status"] for each in executions] == ["completed", "failed"] * len(canaries.secrets), executions
    assert agents.log.read_text("utf-8").count("agents.node_broke") == len(canaries.secrets)
    assert "could not send" in agents.log.read_text("utf-8")
    searched = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    searched |= {"answers": json.dumps(executions, ensure_ascii=False).encode(), "deliveries": delivered}
    searched |= {"spans": json.dumps(collector.spans).encode(), "refusals": b"\n".join(canaries.refusals)}
    searched |= {"database": await stored(database), "redis": await counted(redis_url)}
    assert {place: found for place, content in searched.items() if (found := canaries.found_in(content))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_search_finds_a_secret_that_an_error_left_in_a_log(
    database: Database, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """A control: a worker that conceals nothing in its log is found out."""
    canaries, key = await prepared(database)
    [port] = free_ports(1)
    settings = {"CODEXOS_EGRESS_ALLOW": "127.0.0.0/8"}
    api = ServedApi(tmp_path, port, database_url, redis_url, **settings)
    agents = ServedApi(tmp_path, 1, database_url, redis_url, (*CARELESS, "unredacted"), **settings)
    ask = Visitor(api, canaries)
    try:
        agents.begin()
        async with served(api), website({"/echo": echoed}) as site:
            await lived(ask, canaries, key, site.url)
    finally:
        agents.kill()
    found = {each.partition(",")[0] for each in canaries.found_in(agents.log.read_bytes())}
    assert found == set(canaries.secrets)
