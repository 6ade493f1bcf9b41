"""`python -m server admin vault` over secrets that are there."""

import asyncio
import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from core.clock import FrozenClock
from core.ids import TenantId, new_id
from core.settings import HashicorpVault, Settings
from server.cli.admin import main
from server.cli.refusal import Refusal
from stores.sql.engine import Database
from stores.sql.models import SecretValueRow, TenantRow
from tests.factories.safes import a_safe
from tests.fakes.vault_server import ROLE_ID, SECRET_ID, FakeVault, Versions, serving
from vault.access import Terms
from vault.root_keys import read_root_keys, write_root_keys


async def store_one(database_url: str) -> str:
    database = Database(database_url)
    tenant_id, clock = TenantId(new_id()), FrozenClock()
    async with database.transaction() as session:
        session.add(TenantRow(id=tenant_id, name="test", created_at=clock.now()))
    await a_safe(database, clock).put(tenant_id, "k", "canary", Terms(), expires_at=None, cas=None, by="test")
    await database.dispose()
    return tenant_id


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    write_root_keys(tmp_path / "key", [bytes(32)])
    return Settings(home=tmp_path, database_url=database_url, root_key_file=tmp_path / "key")


def age(file: Path, **past: float) -> None:
    """Let the file have been changed so long ago."""
    moment = time.time() - timedelta(**past).total_seconds()
    os.utime(file, (moment, moment))


def test_keys_are_shown_rotated_and_re_wrapped(
    database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status tells which key seals how many values before and after; another root key is refused with a sentence."""
    tenant_id = asyncio.run(store_one(database_url))
    assert [main(settings, ["vault", command]) for command in ("rotate", "status", "re-wrap", "status")] == [0] * 4
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"tenant {tenant_id}: key 2"
    assert [line.startswith("root key ") for line in told] == [False, True, False, False, False, True, False]
    assert [line.rpartition(" ")[2] for line in (*told[2:4], told[6])] == ["1", "0", "1"]
    assert "canary" not in "".join(told)
    write_root_keys(settings.root_key_path, [b"1" * 32])
    with pytest.raises(Refusal, match="not the root key"):
        main(settings, ["vault", "rotate"])
    assert main(settings, ["vault", "re-wrap"]) == 0, "everything is under the newest key: there is nothing to open"


def test_the_root_key_is_rotated_and_the_one_before_retired(
    database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file holds both until nothing lies under the old one, for a day; then the old one opens nothing."""
    asyncio.run(store_one(database_url))
    file = settings.root_key_path
    assert main(settings, ["vault", "retire-root"]) == 0
    assert "nothing to retire" in capsys.readouterr().out
    assert main(settings, ["vault", "rotate", "--root"]) == 0
    new, old = read_root_keys(file, make=False)
    assert old == bytes(32)
    assert "1 seals are under the newest root key by this, 0 are under earlier ones" in capsys.readouterr().out
    assert main(settings, ["vault", "rotate", "--root"]) == 0, "it goes on, and makes no third"
    assert read_root_keys(file, make=False) == (new, old)
    for options in ([], ["--now"]):
        with pytest.raises(Refusal, match="Try again in"):
            main(settings, ["vault", "retire-root", *options])
    age(file, hours=23)
    with pytest.raises(Refusal, match=r"Try again in 6[01] minutes"):
        main(settings, ["vault", "retire-root"])
    age(file, hours=25)
    capsys.readouterr()
    assert [main(settings, ["vault", command]) for command in ("retire-root", "status")] == [0, 0]
    told = capsys.readouterr().out
    assert "0 seals lie under earlier root keys" in told
    assert old.hex() not in told
    assert new.hex() not in told
    assert read_root_keys(file, make=False) == (new,)
    assert read_root_keys(file.with_name("key.retired"), make=False) == (old,)


def test_a_root_key_under_which_something_lies_is_not_retired(database_url: str, settings: Settings) -> None:
    """However old the file, and whatever the operator says: what was cut off is finished first."""
    asyncio.run(store_one(database_url))
    write_root_keys(settings.root_key_path, [b"1" * 32, bytes(32)])  # killed before anything was moved
    age(settings.root_key_path, days=2)
    with pytest.raises(Refusal, match="1 seals lie under earlier root keys"):
        main(settings, ["vault", "retire-root", "--now"])
    assert main(settings, ["vault", "rotate", "--root"]) == 0
    assert main(settings, ["vault", "retire-root", "--now"]) == 0
    assert main(settings, ["vault", "rotate"]) == 0


def test_a_strangers_root_key_is_not_rotated(database_url: str, settings: Settings) -> None:
    """Nothing is written: neither to the file nor to the database."""
    asyncio.run(store_one(database_url))
    write_root_keys(settings.root_key_path, [b"1" * 32])
    with pytest.raises(Refusal, match="does not hold the root key"):
        main(settings, ["vault", "rotate", "--root"])
    assert read_root_keys(settings.root_key_path, make=False) == (b"1" * 32,)


def test_what_is_known_of_secrets_is_exported(
    database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line of JSON each, with its versions and without any value; of one tenant, or of all; without the root key."""
    tenants = [asyncio.run(store_one(database_url)) for _ in range(2)]
    settings.root_key_path.unlink()
    assert main(settings, ["vault", "export"]) == 0
    told = capsys.readouterr().out
    assert "canary" not in told
    lines = [json.loads(line) for line in told.splitlines()]
    assert {line["tenant_id"] for line in lines} == set(tenants)
    assert main(settings, ["vault", "export", "--tenant", tenants[0]]) == 0
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["tenant_id"], line["key"], line["version"], line["tags"]) == (tenants[0], "k", 1, [])
    assert line["versions"] == [
        {"number": 1, "created_at": line["created_at"], "created_by": "test", "expires_at": None, "destroyed_at": None}
    ]


def test_a_check_says_what_is_lost(database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """0 while every value opens; 1 and a sentence for each that does not."""
    tenant_id = asyncio.run(store_one(database_url))
    assert main(settings, ["vault", "check"]) == 0
    assert f"tenant {tenant_id}: 1 values are good, 0 lost, 0 strays" in capsys.readouterr().out

    async def spoil() -> None:
        database = Database(database_url)
        async with database.transaction() as session:
            await session.execute(update(SecretValueRow).values(sealed_value=b"spoiled by the test"))
        await database.dispose()

    asyncio.run(spoil())
    assert main(settings, ["vault", "check"]) == 1
    assert f"tenant {tenant_id}: version 1 of k cannot be read." in capsys.readouterr().err


def test_a_check_destroys_what_nobody_knows_of_in_a_vault(
    database_url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told of without `--destroy`, and gone with it; a sealed Vault is said in a sentence."""
    tenant_id = asyncio.run(store_one(database_url))
    with serving(FakeVault()) as vault:
        known = HashicorpVault(address=vault.url, role_id=ROLE_ID, secret_id=SECRET_ID)
        settings = settings.model_copy(update={"hashicorp_vault": known})
        vault.secrets[f"codexos/{tenant_id}/gone/key"] = Versions(kept={1: {"value": "eA=="}, 2: None})
        assert main(settings, ["vault", "check"]) == 1
        told = capsys.readouterr().err
        assert f"tenant {tenant_id}: version 1 of k cannot be read." in told, "it lies in our database"
        assert f"tenant {tenant_id}: a value under gone/key (1) is no version." in told
        assert main(settings, ["vault", "check", "--destroy"]) == 1
        assert "1 strays destroyed" in capsys.readouterr().out
        assert vault.secrets[f"codexos/{tenant_id}/gone/key"].kept == {1: None, 2: None}
        assert main(settings, ["vault", "status"]) == 0
        told = capsys.readouterr().out
        assert "HashiCorp Vault" in told
        assert "0 values wait to be destroyed there.\nIt answers, and is unsealed." in told
        vault.sealed = True
        for command in ("check", "status"):
            with pytest.raises(Refusal, match="sealed"):
                main(settings, ["vault", command])
