"""A secret is changed while deliveries go out: whoever has either of the two verifies all of them, for a day."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from stores.sql.models import WebhookEndpointRow
from tests.factories.verification import verify_webhook
from tests.fakes.receiver import Told, receiving
from tests.integration.server.hooked import ENDPOINTS, dispatcher_of, made, serving, tell_many, until
from tests.integration.server.running import Api


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve with loopback open to egress."""
    async with serving(tmp_path, database_url) as api:
        yield api


def takes(told: Told, secret: str) -> list[bool]:
    """Return whether the reference's function and the official package take a delivery, under this secret."""
    body = told.body.decode()
    signatures = ("x-codexos-signature", "x-codexos-signature-previous")
    taken = [any(verify_webhook(body, told.headers.get(name, ""), secret) for name in signatures)]
    try:
        Webhook(secret).verify(told.body, told.headers)
    except WebhookVerificationError:
        return [*taken, False]
    return [*taken, True]


async def test_both_secrets_verify_for_a_day(api: Api) -> None:
    """Before, the first one only; after the rotation both; a day later the second one only. No other ever does."""
    tenant_id, key = await api.tenant()
    with receiving() as receiver:
        async with api.client(key) as client, dispatcher_of(api) as outbox:
            endpoint = await made(client, f"{receiver.url}/hook")
            old, place = endpoint["secret"], f"{ENDPOINTS}/{endpoint['endpoint_id']}"
            await tell_many(api, outbox, tenant_id, 1)
            await until(lambda: len(receiver.told) == 1)
            rotated = (await client.post(f"{place}/secret/rotate")).json()
            new = rotated["secret"]
            assert rotated["previous_secret_signs_until"] is not None
            await tell_many(api, outbox, tenant_id, 1)
            await until(lambda: len(receiver.told) == 2)
            async with api.database.transaction() as session:
                row = (await session.scalars(select(WebhookEndpointRow))).one()
                assert row.secret_rotated_at is not None
                row.secret_rotated_at -= timedelta(hours=24)
            await tell_many(api, outbox, tenant_id, 1)
            await until(lambda: len(receiver.told) == 3)
            assert (await client.get(place)).json()["previous_secret_signs_until"] is None
    before, during, after = receiver.told
    assert [takes(told, old) for told in (before, during, after)] == [[True] * 2, [True] * 2, [False] * 2]
    assert [takes(told, new) for told in (before, during, after)] == [[False] * 2, [True] * 2, [True] * 2]
    assert verify_webhook(during.body.decode(), during.headers["x-codexos-signature"], new)
