"""C22: a bad webhook URL breaks every run (open-swe PR 1658)."""

from pathlib import Path

import pytest
from sqlalchemy import update

from stores.sql.models import WebhookEndpointRow
from tests.fakes.receiver import receiving
from tests.integration.server.hooked import ENDPOINTS, dispatcher_of, made, serving, until

TEXT = {"source_type": "text", "source": "The dome opens at dusk."}


@pytest.mark.parametrize(
    "url", ["not a url", "https://", "javascript:alert(1)", "https://nowhere.invalid/", "http://10.0.0.1"]
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_C22_a_bad_url_is_refused_when_it_is_named(database_url: str, tmp_path: Path, url: str) -> None:
    """With a sentence that says what is wrong with it."""
    async with serving(tmp_path, database_url) as api:
        _, key = await api.tenant()
        async with api.client(key) as client:
            refused = await client.post(ENDPOINTS, json={"url": url, "event_types": ["*"]})
    assert refused.status_code in (400, 403)
    assert refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "spoilt",
    [{"url": "not a url"}, {"url": "https://nowhere.invalid/"}, {"sealed_secret": b"broken"}, {"sealed_headers": b""}],
    ids=["no url", "no host", "secret", "headers"],
)
async def test_C22_an_endpoint_that_went_bad_affects_nobody_else(
    database_url: str, tmp_path: Path, spoilt: dict[str, str | bytes]
) -> None:
    """A document is indexed, other endpoints are told of it, and the bad one's delivery says why it did not arrive."""
    async with serving(tmp_path, database_url) as api:
        _, key = await api.tenant()
        with receiving() as receiver:
            async with api.client(key) as client, dispatcher_of(api):
                bad = (await made(client))["endpoint_id"]
                async with api.database.transaction() as session:
                    await session.execute(
                        update(WebhookEndpointRow).where(WebhookEndpointRow.id == bad).values(**spoilt)
                    )
                await made(client, f"{receiver.url}/hook")
                posted = (await client.post("/api/v1/rag/ingest", json=TEXT)).json()
                await api.work()
                indexed = await client.get(f"/api/v1/rag/documents/{posted['document_id']}")
                assert indexed.json()["status"] == "indexed"
                await until(lambda: bool(receiver.told))
            async with api.client(key) as client:
                [delivery] = (await client.get(f"{ENDPOINTS}/{bad}/deliveries")).json()["items"]
                assert len((await client.get(ENDPOINTS)).json()["items"]) == 2
                shown = (await client.get(f"/api/v1/webhooks/deliveries/{delivery['delivery_id']}")).json()
    assert shown["state"] == "pending"
    assert shown["attempts"][0]["error"]
