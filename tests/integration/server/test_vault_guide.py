"""The guide of the vault, as somebody reads it: every example runs, in the order in which they stand there."""

from pathlib import Path

import pytest

from tests.integration.server.guarded import Person, guarding
from tests.integration.server.test_all_guides import examples, said_by


@pytest.mark.parametrize(("database_url", "redis_url"), [("sqlite", "embedded")], indirect=True)
async def test_every_example_works(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """Literally, with a key, and a person who has an authenticator."""
    async with guarding(tmp_path, database_url, redis_url) as api, api.client() as browser:
        _, key = await api.tenant()
        person = await Person.registered(browser, api.database)
        await person.enrol()
        token = browser.headers["authorization"].removeprefix("Bearer ")
        given = {"API": api.url, "KEY": key, "TOKEN": token, "CODE": await person.code()}
        said = await said_by(examples("docs/vault.md"), tmp_path, **given)
    for told in ('"value":"sk_live_1"', '"status":"succeeded"', '"value":"0000"', '"versions":[3]', '"used_at"'):
        assert told in said, told
    assert "sk_live_2" not in said
