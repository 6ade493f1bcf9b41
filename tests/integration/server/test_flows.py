"""Flows over HTTP: written, checked, published, taken back; versions never change."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.models import SecretRow
from tests.integration.agents.flows import flow_of
from tests.integration.server.running import Api, running, settings_for

FLOWS = "/api/v1/agents/flows"


def drawn(text: str = "{{ input.message }}") -> dict[str, Any]:
    return {
        "nodes": [{"id": "in", "type": "input"}, {"id": "say", "type": "template", "config": {"template": text}}],
        "edges": [{"source": "in", "target": "say"}],
    }


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url)) as api:
        yield api


async def made(client: httpx.AsyncClient, **given: Any) -> dict[str, Any]:
    answer = await client.post(FLOWS, json={"name": "Support"} | drawn() | given)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_life_of_a_flow(api: Api) -> None:
    """Two versions, published, gone back from, archived, deleted: each told by its ETag and to the audit log."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        flow = await made(client, description="Handles inquiries", metadata={"x": [1.5, None, "\U0001f600"]})
        path = f"{FLOWS}/{flow['flow_id']}"
        assert (flow["status"], flow["version"], flow["published_version"]) == ("draft", 1, None)
        assert (flow["nodes"], flow["metadata"]) == (drawn()["nodes"], {"x": [1.5, None, "\U0001f600"]})
        assert (await client.post(f"{path}/rollback", json={})).status_code == 409
        published = await client.post(f"{path}/publish", json={}, headers={"if-match": '"1"'})
        assert (published.json()["status"], published.json()["published_version"]) == ("published", 1)
        assert published.headers["etag"] == '"2"'
        stale = await client.patch(path, json={"name": "x"}, headers={"if-match": '"1"'})
        assert stale.status_code == 412
        changed = (await client.patch(path, json={"nodes": drawn("two")["nodes"]})).json()
        assert (changed["version"], changed["latest_version"], changed["published_version"]) == (2, 2, 1)
        same = (await client.patch(path, json=drawn("two"))).json()
        assert same["latest_version"] == 2
        assert (await client.get(f"{path}?version=1")).json()["nodes"] == drawn()["nodes"]
        assert (await client.get(f"{path}?version=3")).status_code == 404
        assert (await client.post(f"{path}/rollback", json={"version": 2})).status_code == 409
        assert (await client.post(f"{path}/publish", json={})).json()["published_version"] == 2
        back = (await client.post(f"{path}/rollback", json={})).json()
        assert (back["published_version"], back["nodes"]) == (1, drawn()["nodes"])
        listed = (await client.get(f"{path}/versions")).json()
        assert [(each["number"], each["published"]) for each in listed["items"]] == [(2, False), (1, True)]
        assert len({each["sha256"] for each in listed["items"]}) == 2
        archived = (await client.patch(path, json={"status": "archived"})).json()
        assert archived["status"] == "archived"
        refused = await client.post("/api/v1/agents/execute", json={"flow_id": flow["flow_id"], "mode": "background"})
        assert refused.status_code == 409
        assert (await client.delete(path)).status_code == 200
        assert (await client.get(path)).status_code == 404
        told = (await client.get(f"/api/v1/audit/events?resource_id={flow['flow_id']}")).json()["items"]
    actions = [each["action"].removeprefix("flow.") for each in reversed(told)]
    assert actions == ["created", "published", *["changed"] * 2, "published", "rolled_back", "changed", "deleted"]


async def test_faults_come_at_once_and_nothing_is_kept(api: Api) -> None:
    """Of a creation as a refusal, of a validation as its answer, with what is missing elsewhere."""
    tenant_id, key = await api.tenant()
    broken = drawn("{{ nodes.gone.output }}")
    broken["nodes"].append({"id": "in", "type": "python", "config": {"a": 1}})
    broken["edges"].append({"source": "in", "target": "nobody"})
    needy = {
        "nodes": [
            {"id": "in", "type": "input"},
            {"id": "sub", "type": "subflow", "config": {"flow_id": "{}"}},
            {"id": "say", "type": "template", "config": {"template": {"$secret": "stripe/live"}}},
        ],
        "edges": [{"source": "in", "target": "sub"}, {"source": "sub", "target": "say"}],
    }
    async with api.client(key) as client:
        refused = await client.post(FLOWS, json={"name": "x"} | broken)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
        pointers = {each["pointer"] for each in refused.json()["error"]["details"]["violations"]}
        assert pointers == {"/nodes/2/type", "/nodes/2/id", "/nodes/1/config/template", "/edges/1/target"}
        told = (await client.post(f"{FLOWS}/validate", json=broken)).json()
        assert (told["valid"], {each["pointer"] for each in told["faults"]}) == (False, pointers)
        missing = (await client.post(f"{FLOWS}/validate", json=needy)).json()["faults"]
        assert [each["code"] for each in missing] == ["missing_flow", "missing_secret"]
        flow = await made(client, **needy)
        late = await client.post(f"{FLOWS}/{flow['flow_id']}/publish", json={})
        assert (late.status_code, len(late.json()["error"]["details"]["violations"])) == (409, 2)
        await _stored(api, tenant_id, "stripe/live")
        needy["nodes"][1]["config"] = {"flow_id": await flow_of(api.database, tenant_id, drawn())}
        assert (await client.post(f"{FLOWS}/validate", json=needy)).json() == {"valid": True, "faults": []}
        _, stranger = await api.tenant()
        async with api.client(stranger) as other:
            theirs = (await other.post(f"{FLOWS}/validate", json=needy)).json()["faults"]
        assert [each["code"] for each in theirs] == ["missing_flow", "missing_secret"]
        assert (await client.get(FLOWS)).json()["total"] == 2


async def _stored(api: Api, tenant_id: TenantId, key: str) -> None:
    """Have a secret there: the vault itself answers nothing without Redis."""
    now = SystemClock().now()
    async with api.database.transaction() as session:
        session.add(
            SecretRow(
                id=new_id(),
                tenant_id=tenant_id,
                key=key,
                version=1,
                tags="",
                require_mfa=False,
                allowed_hosts=[],
                created_at=now,
                created_by="test",
                updated_at=now,
            )
        )


async def test_flows_are_searched_and_paged(api: Api) -> None:
    """By what stands in the name, in any case; wildcards are letters; a cursor goes on."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        for name in ("STRASSE 1", "Straße 2", "100% sure", "100 sure", "e\u0301te\u0301"):
            await made(client, name=name)

        async def names(**query: str) -> list[str]:
            page = (await client.get(FLOWS, params=query)).json()
            return [each["name"] for each in page["items"]]

        assert await names(search="strasse") == ["Straße 2", "STRASSE 1"]
        assert await names(search="0% S") == ["100% sure"]
        assert await names(search="\u00c9T\u00c9") == ["e\u0301te\u0301"]
        assert await names(search="_") == []
        assert await names(status="published") == []
        first = (await client.get(FLOWS, params={"limit": "2"})).json()
        assert (first["total"], first["has_more"]) == (5, True)
        assert await names(limit="2", cursor=first["next_cursor"]) == ["100% sure", "Straße 2"]


async def test_changes_at_once_lose_nothing(api: Api) -> None:
    """Of eight that ask for the same version, one changes the flow; versions have no gaps."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        path = f"{FLOWS}/{(await made(client))['flow_id']}"
        answers = await asyncio.gather(
            *(client.patch(path, json=drawn(f"{n}"), headers={"if-match": '"1"'}) for n in range(8))
        )
        assert sorted(each.status_code for each in answers)[:2] == [200, 412]
        await asyncio.gather(*(client.patch(path, json=drawn(f"again {n}")) for n in range(4)))
        numbers = [each["number"] for each in (await client.get(f"{path}/versions")).json()["items"]]
        assert numbers == list(range(len(numbers), 0, -1))


async def test_flow_with_executions_under_way_stays(api: Api) -> None:
    """Until they are over: an execution pins a version."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        flow = await made(client)
        started = await client.post("/api/v1/agents/execute", json={"flow_id": flow["flow_id"], "mode": "background"})
        assert (await client.delete(f"{FLOWS}/{flow['flow_id']}")).status_code == 409
        await client.post(f"/api/v1/agents/executions/{started.json()['execution_id']}/cancel")
        assert (await client.delete(f"{FLOWS}/{flow['flow_id']}")).status_code == 200


async def test_node_types_are_listed(api: Api) -> None:
    """Each with its schema, and a name that flows may use."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        items = (await client.get("/api/v1/agents/node-types")).json()["items"]
    assert {"input", "output", "template", "condition", "switch", "map", "human"} <= {each["type"] for each in items}
    assert all(each["config_schema"]["type"] == "object" for each in items)
