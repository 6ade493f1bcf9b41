"""Executions are followed by their numbers: no gap, nothing twice, nobody else's, and only as long as one may."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.ids import new_id
from server.auth.principal import Scope
from stores import embedded_redis
from stores.hints import Hints
from stores.redis import connect
from tests.integration.agents.flows import flow_of
from tests.integration.agents.telling import deltas, execution_of, tell
from tests.integration.server.running import Api, running, settings_for

EXECUTIONS = "/api/v1/agents/executions"
SSE = {"accept": "text/event-stream"}


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url)) as api:
        yield api


async def events_of(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield the events of a stream; each one's id is its number."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            data = json.loads(fields["data"])
            assert fields["event"] == "error" or (int(fields["id"]), fields["event"]) == (data["seq"], data["type"])
            yield data
            fields = {}


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["data"]["delta"] for event in events if event["type"] == "node.delta")


def numbers_of(events: list[dict[str, Any]]) -> list[int]:
    """Return every number that the events stand for, those of merged ones too."""
    return [number for event in events for number in range(event.get("from_seq") or event["seq"], event["seq"] + 1)]


async def test_a_stream_tells_all_of_an_execution_and_ends_with_it(api: Api) -> None:
    """What was told before and what is told while somebody listens comes in order, once; the last event ends it."""
    tenant_id, key = await api.tenant()
    execution_id = await execution_of(api.database, tenant_id)
    await tell(api.database, execution_id, [("execution.started", {}), *deltas(300)])
    found: list[dict[str, Any]] = []
    async with api.client(key) as client, client.stream("GET", f"{EXECUTIONS}/{execution_id}/events", headers=SSE) as r:
        assert r.status_code == 200
        assert r.headers["content-type"].startswith("text/event-stream")
        async with asyncio.timeout(30):
            async for event in events_of(r):
                found.append(event)
                if event["seq"] == 301:
                    await tell(api.database, execution_id, deltas(20, start=300))
                    await tell(api.database, execution_id, [("execution.completed", {"r": 1})], state="completed")
    assert numbers_of(found) == list(range(1, 323))
    assert text_of(found) == "".join(f"[{number}]" for number in range(320))
    assert found[-1]["type"] == "execution.completed"
    assert found[-1]["data"] == {"r": 1}


async def test_last_event_id_goes_on_where_a_stream_was_cut(api: Api) -> None:
    """Cut at any place, a stream goes on behind the last number, also as pages of JSON."""
    tenant_id, key = await api.tenant()
    execution_id = await execution_of(api.database, tenant_id)
    told = [("execution.started", {}), *deltas(5), ("node.completed", {"node_id": "say"}), ("execution.completed", {})]
    await tell(api.database, execution_id, told, state="completed")
    async with api.client(key) as client:
        whole = (await client.get(f"{EXECUTIONS}/{execution_id}/events")).json()
        assert [event["seq"] for event in whole["items"]] == list(range(1, 9))
        assert (whole["status"], whole["last_seq"], whole["has_more"]) == ("completed", 8, False)
        for cut in range(9):
            headers = SSE | {"last-event-id": str(cut)}
            async with client.stream("GET", f"{EXECUTIONS}/{execution_id}/events", headers=headers) as response:
                found = [event async for event in events_of(response)]
            assert numbers_of(found) == list(range(cut + 1, 9))
            page = (await client.get(f"{EXECUTIONS}/{execution_id}/events?after={cut}&limit=2")).json()
            assert [event["seq"] for event in page["items"]] == list(range(cut + 1, 9))[:2]
        refused = await client.get(f"{EXECUTIONS}/{execution_id}/events", headers={"last-event-id": "x"})
        assert refused.status_code == 400


async def test_nobody_follows_the_executions_of_others(api: Api) -> None:
    """Another tenant's execution is as unknown as one that never was, streamed or not."""
    tenant_id, _ = await api.tenant()
    _, stranger = await api.tenant()
    execution_id = await execution_of(api.database, tenant_id)
    async with api.client(stranger) as client:
        for headers in ({}, SSE):
            theirs = await client.get(f"{EXECUTIONS}/{execution_id}/events", headers=headers)
            never = await client.get(f"{EXECUTIONS}/{new_id()}/events", headers=headers)
            assert theirs.status_code == never.status_code == 404
            assert theirs.json()["error"]["code"] == "RESOURCE_NOT_FOUND"


async def test_a_stream_ends_with_its_credential(api: Api) -> None:
    """Five seconds after the key is revoked nothing is told under it any more; the stream says so and ends."""
    tenant_id, admin = await api.tenant()
    async with api.client(admin) as client:
        made = (await client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": [Scope.AGENTS_READ]})).json()
    execution_id = await execution_of(api.database, tenant_id)
    await tell(api.database, execution_id, [("execution.started", {})])
    found = []
    path = f"{EXECUTIONS}/{execution_id}/events"
    async with (
        api.client(made["key"]) as reader,
        api.client(admin) as client,
        reader.stream("GET", path, headers=SSE) as response,
        asyncio.timeout(20),
    ):
        async for event in events_of(response):
            found.append(event)
            if len(found) == 1:
                assert (await client.delete(f"/api/v1/auth/api-keys/{made['api_key']['id']}")).status_code == 200
    assert found[-1]["error"]["code"] == "AUTHENTICATION_FAILED"


async def test_executing_as_a_stream_attaches_a_second_time(api: Api) -> None:
    """The same Idempotency-Key tells the same execution again from its first event, while it runs and afterwards."""
    tenant_id, key = await api.tenant()
    flow_id = await flow_of(api.database, tenant_id, {"nodes": [{"id": "in", "type": "input"}], "edges": []})
    asked = {"flow_id": flow_id, "mode": "stream", "input": {}}
    started, found = asyncio.Event(), list[list[dict[str, Any]]]()

    async def follow() -> None:
        mine: list[dict[str, Any]] = []
        found.append(mine)
        headers = {"idempotency-key": "once"}
        async with client.stream("POST", "/api/v1/agents/execute", json=asked, headers=headers) as response:
            assert response.status_code == 200
            started.set()
            mine.extend([event async for event in events_of(response)])

    async with api.client(key) as client, asyncio.timeout(40):
        first = asyncio.create_task(follow())
        await started.wait()
        [execution] = (await client.get(EXECUTIONS)).json()["items"]
        await tell(api.database, execution["execution_id"], [("execution.started", {}), *deltas(3)])
        second = asyncio.create_task(follow())
        await asyncio.sleep(0)
        await tell(api.database, execution["execution_id"], [("execution.completed", {})], state="completed")
        await asyncio.gather(first, second)
        await follow()
        assert (await client.get(EXECUTIONS)).json()["total"] == 1
    assert [numbers_of(mine) for mine in found] == [[1, 2, 3, 4, 5]] * 3
    other = {"idempotency-key": "once"}
    async with api.client(key) as client:
        response = await client.post("/api/v1/agents/execute", json=asked | {"input": 1}, headers=other)
    assert response.status_code == 422


async def test_a_hint_brings_news_at_once(database_url: str, tmp_path: Path) -> None:
    """With Redis a follower hears long before it would have looked."""
    waits = []
    with embedded_redis.running(tmp_path / "redis") as url:
        redis = connect(url)
        async with running(settings_for(tmp_path, database_url, redis_url=url)) as api:
            tenant_id, key = await api.tenant()
            execution_id = await execution_of(api.database, tenant_id)
            path = f"{EXECUTIONS}/{execution_id}/events"
            async with api.client(key) as client, client.stream("GET", path, headers=SSE) as response:
                events = events_of(response)
                for _ in range(8):
                    began = asyncio.get_running_loop().time()
                    await tell(api.database, execution_id, deltas(1))
                    await Hints(redis).tell([execution_id])
                    await anext(events)
                    waits.append(asyncio.get_running_loop().time() - began)
        await redis.aclose()
    assert min(waits[1:]) < 0.8
