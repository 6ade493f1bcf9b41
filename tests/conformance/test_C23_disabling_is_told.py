"""C23: an endpoint is disabled and nobody is told (ay-framework #182)."""

import json
from pathlib import Path

from tests.fakes.receiver import receiving
from tests.integration.server.hooked import ENDPOINTS, dispatcher_of, made, serving, tell_many, until


async def test_C23_disabling_is_told(database_url: str, tmp_path: Path) -> None:
    """As an event, to other endpoints and in the log; and the endpoint itself says since when and why."""
    async with serving(tmp_path, database_url) as api:
        tenant_id, key = await api.tenant()
        with receiving() as receiver:
            receiver.status_of = lambda path: 410 if path == "/gone" else 204
            async with api.client(key) as client, dispatcher_of(api) as outbox:
                gone = await made(client, f"{receiver.url}/gone", event_types=["rag.document.indexed"])
                await made(client, f"{receiver.url}/watching", event_types=["webhook.endpoint.disabled"])
                await tell_many(api, outbox, tenant_id, 1)
                await until(lambda: any(told.path == "/watching" for told in receiver.told))
                shown = (await client.get(f"{ENDPOINTS}/{gone['endpoint_id']}")).json()
                logged = (await client.get("/api/v1/events?types=webhook.endpoint.disabled")).json()["items"]
    [told] = [json.loads(told.body) for told in receiver.told if told.path == "/watching"]
    assert told["data"] == {"endpoint_id": gone["endpoint_id"], "url": gone["url"], "reason": "gone"}
    assert [event["data"] for event in logged] == [told["data"]]
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    assert shown["disabled_at"] is not None
