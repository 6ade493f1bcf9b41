"""C21: on a retry the headers of Standard Webhooks are missing (sandbase #313)."""

from datetime import timedelta
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from server.webhooks import schedule
from tests.factories.verification import verify_webhook
from tests.fakes.receiver import receiving
from tests.integration.server.hooked import dispatcher_of, made, serving, tell_many, until


async def test_C21_each_attempt_carries_all_headers(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt is signed for its own moment, under the same id and over the same bytes, and verifies both ways."""
    monkeypatch.setattr(schedule, "DELAYS", (timedelta(seconds=1.1),) * 2 + schedule.DELAYS[2:])
    monkeypatch.setattr(schedule, "JITTER", 0.0)
    async with serving(tmp_path, database_url) as api:
        tenant_id, key = await api.tenant()
        with receiving() as receiver:
            receiver.status_of = lambda _: 500 if len(receiver.told) < 3 else 204
            async with api.client(key) as client, dispatcher_of(api) as outbox:
                secret = (await made(client, f"{receiver.url}/hook", headers={"X-Own": "v"}))["secret"]
                [event_id] = await tell_many(api, outbox, tenant_id, 1)
                await until(lambda: len(receiver.told) == 3)
    attempts = receiver.told
    assert len({attempt.body for attempt in attempts}) == 1
    for attempt in attempts:
        assert (attempt.headers["webhook-id"], attempt.headers["x-own"]) == (event_id, "v")
        assert Webhook(secret).verify(attempt.body, attempt.headers)["id"] == event_id
        assert verify_webhook(attempt.body.decode(), attempt.headers["x-codexos-signature"], secret)
    timestamps = [int(attempt.headers["webhook-timestamp"]) for attempt in attempts]
    assert timestamps == sorted(set(timestamps))
