"""`python -m server admin vault` over secrets that are there."""

import asyncio
from pathlib import Path

import pytest

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from core.settings import Settings
from server.cli.admin import main
from server.cli.refusal import Refusal
from stores.sql.engine import Database
from stores.sql.models import TenantRow
from tests.factories.safes import a_safe
from vault.access import Terms


async def store_one(database_url: str) -> str:
    database = Database(database_url)
    tenant_id, clock = TenantId(new_id()), FrozenClock()
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=clock.now()))
    await a_safe(database, clock).put(tenant_id, "k", "canary", Terms(), expires_at=None, cas=None, by="test")
    await database.dispose()
    return tenant_id


def test_keys_are_shown_rotated_and_re_wrapped(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status tells which key seals how many values before and after; another root key is refused with a sentence."""
    tenant_id = asyncio.run(store_one(database_url))
    root_key = tmp_path / "key"
    root_key.touch(0o600)
    root_key.write_text("00" * 32)
    settings = Settings(home=tmp_path, database_url=database_url, root_key_file=root_key)
    assert [main(settings, ["vault", command]) for command in ("rotate", "status", "re-wrap", "status")] == [0] * 4
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"tenant {tenant_id}: key 2"
    assert [line.rpartition(" ")[2] for line in (*told[1:3], *told[4:6])] == ["1", "0", "0", "1"]
    assert "canary" not in "".join(told)
    root_key.write_text("11" * 32)
    with pytest.raises(Refusal, match="not the root key"):
        main(settings, ["vault", "rotate"])
    assert main(settings, ["vault", "re-wrap"]) == 0, "everything is under the newest key: there is nothing to open"
