"""Another root key under a server that runs: whatever was sealed under the one before is as good as it was."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli.admin import main
from server.webhooks.sealing import PushSealing, Sealing
from stores import embedded_redis
from stores.sql.models import SourceRow, WebhookEndpointRow
from tests.integration.server.guarded import SECRETS, Person, guarding, stored, value_of
from tests.integration.server.hooked import ENDPOINTS, made
from tests.integration.server.running import Api
from vault.open import open_envelope
from vault.root_keys import read_root_keys

SOURCES = "/api/v1/rag/sources"
GITHUB = {"name": "code", "type": "github", "location": "acme/cranes"}


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the embedded one only: what is counted in it has tests of its own."""
    with embedded_redis.running(tmp_path_factory.mktemp("redis")) as url:
        yield url


async def admin(api: Api, *command: str) -> None:
    assert await asyncio.to_thread(main, api.settings, ["vault", *command]) == 0


async def good(api: Api, person: Person, secret: str, keyed: dict[str, str], hook_id: str) -> None:
    """All that is sealed can be used: session and its signing key, second factor, kept answer, secrets, webhooks."""
    assert await value_of(person.browser, "plain") == "hunter2"
    assert (await person.read("guarded", await person.code())).json()["value"] == "hunter2"
    again = await person.browser.post(SECRETS, json={"key": "keyed", "value": "hunter2"}, headers=keyed)
    assert (again.status_code, again.headers.get("idempotent-replayed")) == (201, "true")
    envelope = open_envelope(api.settings)
    async with api.database.reading() as session:
        hook = await session.get_one(WebhookEndpointRow, hook_id)
        assert Sealing(envelope=envelope).open_secret(hook.sealed_secret, hook.id) != secret
        assert hook.sealed_previous_secret is not None
        assert Sealing(envelope=envelope).open_secret(hook.sealed_previous_secret, hook.id) == secret
        assert "canary" in Sealing(envelope=envelope).open_headers(hook.sealed_headers, hook.id)
        for source in (await session.execute(SourceRow.__table__.select())).all():
            assert PushSealing(envelope=envelope).open(source.sealed_webhook_secret, source.id)


async def test_everything_outlives_the_root_key_it_was_sealed_under(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Before, while both are there, once the old one is retired, and under a server that never knew it."""
    async with guarding(tmp_path, database_url, redis_url, trusted_proxies=1) as api, api.client() as browser:
        person = await Person.registered(browser, api.database)
        await person.enrol()
        await stored(browser, "plain")
        await stored(browser, "guarded", require_mfa=True)
        keyed = {"idempotency-key": "before"}
        (await browser.post(SECRETS, json={"key": "keyed", "value": "hunter2"}, headers=keyed)).raise_for_status()
        hook = await made(browser, headers={"x-token": "canary"})
        (await browser.post(f"{ENDPOINTS}/{hook['endpoint_id']}/secret/rotate")).raise_for_status()
        (await browser.post(SOURCES, json=GITHUB)).raise_for_status()
        page = (await browser.get(SECRETS, params={"limit": 1})).json()["next_cursor"]
        known = (person, hook["secret"], keyed, hook["endpoint_id"])
        await good(api, *known)
        await admin(api, "rotate", "--root")
        [new, _old] = read_root_keys(api.settings.root_key_path, make=False)
        await good(api, *known)
        assert (await browser.get(SECRETS, params={"limit": 1, "cursor": page})).status_code == 200
        moment = time.time() - 25 * 3600
        os.utime(api.settings.root_key_path, (moment, moment))
        await admin(api, "retire-root")
        assert read_root_keys(api.settings.root_key_path, make=False) == (new,)
        await good(api, *known)
        token = browser.headers["authorization"]
    async with guarding(tmp_path, database_url, redis_url, trusted_proxies=1) as api, api.client() as browser:
        browser.headers["authorization"] = token
        person.browser = browser
        async with api.client() as other:  # a keyed request of before is another one now, and no failure
            other.headers["authorization"] = token
            reused = await other.post(SECRETS, json={"key": "keyed", "value": "hunter2"}, headers=keyed)
            assert reused.status_code == 422
        assert await value_of(browser, "plain") == "hunter2"
        assert (await person.read("guarded", await person.code())).json()["value"] == "hunter2"
