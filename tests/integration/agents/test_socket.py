"""The socket: who may open it, what it tells, and that nobody misses or hears twice what an execution told."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from server.auth.principal import Scope
from tests.acceptance.system import free_ports
from tests.integration.agents.flows import flow_of
from tests.integration.agents.telling import deltas, execution_of, tell
from tests.integration.server.running import Api, running, settings_for
from tests.integration.server.served import ServedApi, served

FLOW = {"nodes": [{"id": "in", "type": "input"}], "edges": []}


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url)) as api:
        yield api


def socket_of(url: str, key: str | None = None, **more: Any) -> connect:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address = url.replace("http", "ws", 1) + "/ws/a-client"
    return connect(address, additional_headers=headers, proxy=None, open_timeout=60, **more)


async def heard(socket: ClientConnection, *, within: float = 30) -> dict[str, Any]:
    async with asyncio.timeout(within):
        told: dict[str, Any] = json.loads(await socket.recv())
    return told


async def say(socket: ClientConnection, **message: Any) -> None:
    await socket.send(json.dumps(message))


async def closed(socket: ClientConnection) -> int:
    """Return the code with which the server closes it."""
    async with asyncio.timeout(30):
        with pytest.raises(ConnectionClosed) as end:
            while True:
                await socket.recv()
    assert end.value.rcvd is not None
    return end.value.rcvd.code


async def test_the_message_of_the_reference_executes_a_flow(api: Api) -> None:
    """Verbatim, whatever way one has authenticated; all that the execution tells comes in order and once."""
    tenant_id, key = await api.tenant()
    flow_id = await flow_of(api.database, tenant_id, FLOW)

    async def executed(socket: ClientConnection) -> None:
        assert (await heard(socket))["type"] == "ready"
        await say(socket, type="execute", flow_id=flow_id, input={"message": "Hello"})
        accepted = await heard(socket)
        assert (accepted["type"], accepted["seq"]) == ("accepted", None)
        await tell(api.database, accepted["execution_id"], [("execution.started", {}), *deltas(3)])
        await tell(api.database, accepted["execution_id"], [("execution.completed", {"r": 1})], state="completed")
        numbers, last = [], accepted
        while last["type"] != "execution.completed":
            last = await heard(socket)
            assert last["execution_id"] == accepted["execution_id"]
            numbers += range(last.get("from_seq", last["seq"]), last["seq"] + 1)
        assert numbers == [1, 2, 3, 4, 5]
        await say(socket, type="ping", id="p")
        assert {"type": "pong", "id": "p"}.items() <= (await heard(socket)).items()

    async with socket_of(api.url, key) as socket:
        await executed(socket)
    async with socket_of(api.url, subprotocols=[Subprotocol("codexos"), Subprotocol(f"bearer.{key}")]) as socket:
        assert socket.subprotocol == "codexos"
        await executed(socket)
    async with socket_of(api.url) as socket:
        await say(socket, type="authenticate", token=key)
        await executed(socket)


async def test_nobody_gets_in_without_a_credential_that_is_theirs(api: Api) -> None:
    """A bad token is refused however it comes, and one in the address is refused even if it is good."""
    _, key = await api.tenant()
    for headers, path, status in [
        ({"Authorization": "Bearer nonsense"}, "/ws/c", 401),
        ({"Authorization": f"Bearer {key}"}, f"/ws/c?token={key}", 400),
        ({"Authorization": f"Bearer {key}", "Origin": "https://evil.example"}, "/ws/c", 403),
        ({"Authorization": f"Bearer {key}"}, "/ws/" + "c" * 200, 400),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(api.url.replace("http", "ws") + path, additional_headers=headers, proxy=None):
                pass
        assert refused.value.response.status_code == status
    async with socket_of(api.url, subprotocols=[Subprotocol("codexos"), Subprotocol("bearer.nonsense")]) as socket:
        assert await closed(socket) == 4401
    for first in ({"type": "ping"}, {"type": "authenticate", "token": "nonsense"}):
        async with socket_of(api.url) as socket:
            await say(socket, **first)
            assert await closed(socket) == 4401


async def test_what_is_no_message_is_answered_and_what_is_too_large_ends_it(api: Api) -> None:
    """Every fault is told with its pointer and the connection goes on; more than a mebibyte closes it with 1009."""
    _, key = await api.tenant()
    async with socket_of(api.url, key) as socket:
        await heard(socket)
        for raw in (
            "nonsense",
            "[]",
            '{"type":"fly"}',
            '{"type":"ping","type":"ping"}',
            '{"type":"subscribe"}',
            '"\\ud800"',
        ):
            await socket.send(raw)
            told = await heard(socket)
            assert (told["type"], told["data"]["code"]) == ("error", "VALIDATION_ERROR")
        await socket.send("x" * (1024 * 1024 + 1))
        assert await closed(socket) == 1009


async def test_sockets_know_nothing_of_other_tenants_and_stay_in_their_scopes(api: Api) -> None:
    """Another's execution is not found, and a credential without the scope executes nothing."""
    tenant_id, _ = await api.tenant()
    _, stranger = await api.tenant()
    execution_id = await execution_of(api.database, tenant_id)
    async with socket_of(api.url, stranger) as socket:
        await heard(socket)
        for message in ("subscribe", "cancel"):
            await say(socket, type=message, execution_id=execution_id)
            assert (await heard(socket))["data"]["code"] == "RESOURCE_NOT_FOUND"
    reader = await api.key(tenant_id, [Scope.AGENTS_READ])
    async with socket_of(api.url, reader) as socket:
        await heard(socket)
        await say(socket, type="cancel", execution_id=execution_id)
        assert (await heard(socket))["data"]["code"] == "AUTHORIZATION_FAILED"


async def test_a_socket_ends_with_its_credential(api: Api) -> None:
    """Within five seconds of its revocation, with code 4401."""
    _, admin = await api.tenant()
    async with api.client(admin) as client:
        made = (await client.post("/api/v1/auth/api-keys", json={"name": "k", "scopes": ["agents:read"]})).json()
        async with socket_of(api.url, made["key"]) as socket:
            await heard(socket)
            assert (await client.delete(f"/api/v1/auth/api-keys/{made['api_key']['id']}")).status_code == 200
            assert await closed(socket) == 4401


async def test_killed_servers_leave_no_gap_and_tell_nothing_twice(database_url: str, tmp_path: Path) -> None:
    """Followed by socket, by server-sent events and by pages in turn, over servers that are killed with -9."""
    async with running(settings_for(tmp_path, database_url)) as api:
        tenant_id, key = await api.tenant()
        execution_id = await execution_of(api.database, tenant_id)
        one, other = (ServedApi(tmp_path, port, database_url) for port in free_ports(2))
        seen: list[int] = []

        async def telling() -> None:
            await tell(api.database, execution_id, [("execution.started", {})])
            for start in range(0, 300, 5):
                await tell(api.database, execution_id, deltas(5, start=start))
                await asyncio.sleep(0.02)

        def take(event: dict[str, Any]) -> None:
            seen.extend(range(event.get("from_seq") or event["seq"], event["seq"] + 1))

        async def by_socket(url: str) -> None:
            async with socket_of(url, key) as socket:
                await heard(socket)
                await say(socket, type="resume", execution_id=execution_id, after_seq=seen[-1] if seen else 0)
                assert (await heard(socket))["type"] == "subscribed"
                # Of a slow server more has been told meanwhile than it is asked for here.
                enough = min(len(seen) + 40, 301)
                while len(seen) < enough:
                    take(await heard(socket))

        async def by_pages(url: str) -> None:
            async with api.client(key) as client:
                page = await client.get(
                    f"{url}/api/v1/agents/executions/{execution_id}/events?after={seen[-1]}&limit=7"
                )
                for event in page.json()["items"]:
                    take(event)

        async with served(one, other):
            teller = asyncio.create_task(telling())
            await by_socket(one.url)
            one.kill()
            await by_pages(other.url)
            await by_socket(other.url)
            other.kill()
            await by_socket(api.url)
            await teller
            await tell(api.database, execution_id, [("execution.completed", {})], state="completed")
            headers = {"accept": "text/event-stream", "last-event-id": str(seen[-1])}
            path = f"/api/v1/agents/executions/{execution_id}/events"
            async with api.client(key) as client, client.stream("GET", path, headers=headers) as response:
                async for line in response.aiter_lines():
                    if line.startswith("data: "):
                        take(json.loads(line.removeprefix("data: ")))
        assert seen == list(range(1, 303))
