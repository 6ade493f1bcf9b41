"""`python -m server admin reset-password`: a way back in, which ends what the old password began."""

import asyncio
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from core.clock import SystemClock
from core.errors import AuthenticationFailed
from server.auth.principal import Principal
from server.auth.sessions.passwords import Passwords
from server.cli import admin
from server.cli.refusal import Refusal
from stores.sql.engine import Database
from tests.factories.sessions import EMAIL, ada, sessions, with_password
from tests.integration.server.running import settings_for
from tests.integration.server.test_account_log import entries

CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_an_operator_resets_a_password(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed one logs in and the old one does not; sessions from before are over; it is on record; 144 bits."""
    database = Database(database_url)
    people = sessions(database, SystemClock(), passwords=CHEAP)
    settings = settings_for(tmp_path, database_url)

    async def begun() -> tuple[Principal, str]:
        person = await ada(people)
        pair = await people.log_in(with_password(), address="a", code=None)
        await database.dispose()
        return person, pair.refresh_token

    async def looked_at(person: Principal, refresh_token: str, password: str) -> None:
        with pytest.raises(AuthenticationFailed):
            await people.log_in(with_password(), address="a", code=None)
        with pytest.raises(AuthenticationFailed):
            await people.refresh(refresh_token)
        await people.log_in(with_password(password), address="a", code=None)
        log = await entries(database, person.tenant_id)
        assert ("system", "password.reset", {"sessions_ended": 1}) in log
        assert password not in str(log)
        await database.dispose()

    person, refresh_token = asyncio.run(begun())
    admin.main(settings, ["reset-password", EMAIL.upper()])
    printed = capsys.readouterr().out.strip()
    assert len(printed) == 24
    asyncio.run(looked_at(person, refresh_token, printed))
    for nobody in ("nobody@example.com", "no address"):
        with pytest.raises(Refusal):
            admin.main(settings, ["reset-password", nobody])
