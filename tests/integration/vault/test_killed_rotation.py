"""All keys change for ever under those who read, and whoever changes them is killed again and again."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.ids import TenantId, new_id
from stores.sql.engine import Database
from stores.sql.models import TenantRow
from tests.factories.safes import a_safe
from tests.integration.vault import rotating
from vault.access import Reader, Terms
from vault.embedded import EmbeddedStore
from vault.open import open_envelope
from vault.root_keys import read_root_keys
from vault.root_rotation import RootRotation
from vault.safe import Safe

TENANTS = 5
SECRETS = 4
READERS = 4
READER = Reader(principal="key:k")
_PATIENCE_SECONDS = 120


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


def opened(database: Database, home: Path, database_url: str) -> Safe:
    """Return the safe of a process that has just started."""
    envelope = open_envelope(rotating.settings_of(str(home), database_url))
    safe = a_safe(database, SystemClock())
    assert isinstance(safe.store, EmbeddedStore)
    return replace(safe, store=replace(safe.store, envelope=envelope))


async def filled(safe: Safe) -> list[tuple[TenantId, str]]:
    """Return tenants and keys of secrets that are there; what they are is tenant and key."""
    places = []
    for _ in range(TENANTS):
        tenant_id = TenantId(new_id())
        async with safe.database.transaction() as session:
            session.add(TenantRow(id=tenant_id, name="test", created_at=safe.clock.now()))
        for key in (f"k{number}" for number in range(SECRETS)):
            await safe.put(tenant_id, key, tenant_id + key, Terms(), expires_at=None, cas=None, by="test")
            places.append((tenant_id, key))
    return places


async def command_done(told: asyncio.StreamReader) -> None:
    while (line := await told.readline()) != b"done\n":
        assert line, "it ended by itself"


async def rotate_and_be_killed(
    home: Path, database_url: str, kills: int, chance: random.Random, reading: Callable[[], bool]
) -> tuple[int, int]:
    """Start rotating and kill it with -9, at any moment of a command, so many times, and on while somebody reads.

    Return how often it was killed, and how many commands were whole.
    """
    killed = whole = 0
    while killed < kills or reading():
        rotator = await asyncio.create_subprocess_exec(
            sys.executable, "-m", rotating.__name__, str(home), database_url, stdout=asyncio.subprocess.PIPE
        )
        assert rotator.stdout is not None
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await command_done(rotator.stdout)
            taken = 0.0
            for _ in range(commands := chance.randint(1, 3)):  # on a busy machine each takes long
                begun = time.monotonic()
                await command_done(rotator.stdout)
                taken = time.monotonic() - begun
            await asyncio.sleep(chance.uniform(0, taken))
            rotator.send_signal(signal.SIGKILL)
            whole += 1 + commands + (await rotator.stdout.read()).count(b"done\n")
            assert await rotator.wait() == -signal.SIGKILL
        killed += 1
    return killed, whole


@pytest.mark.parametrize(
    ("reads", "kills"), [(200, 2), pytest.param(10_000, 50, marks=pytest.mark.slow)], ids=["quick", "whole"]
)
async def test_readers_notice_nothing_and_nothing_is_lost(
    database: Database, database_url: str, tmp_path: Path, reads: int, kills: int
) -> None:
    """0 reads fail, by those who run and those who start; in the end everything opens, under one key each."""
    long_running = opened(database, tmp_path, database_url)
    places = await filled(long_running)
    before = read_root_keys(tmp_path / "root-key", make=False)
    done, wrong, rotated = 0, list[str](), asyncio.Event()

    async def read(by_turns: int) -> None:
        nonlocal done
        while done < reads or not rotated.is_set():
            tenant_id, key = places[done % len(places)]
            done += 1
            # Each other one knows the keys as they are now, and none of before.
            safe = long_running if by_turns % 2 else opened(database, tmp_path, database_url)
            found = await safe.read(tenant_id, key, None, READER)
            if found.value != tenant_id + key:
                wrong.append(found.value)

    async def rotate() -> tuple[int, int]:
        try:
            return await rotate_and_be_killed(
                tmp_path, database_url, kills, random.Random(kills), reading=lambda: done < reads
            )
        finally:
            rotated.set()

    *_, (killed, whole) = await asyncio.gather(*(read(number) for number in range(READERS)), rotate())
    assert (wrong, done >= reads) == ([], True)
    settings = rotating.settings_of(str(tmp_path), database_url)
    for command in (*rotating.COMMANDS, *rotating.COMMANDS):  # what the last one had begun is finished, and one more
        await asyncio.to_thread(rotating.ask, settings, command)
    after = read_root_keys(settings.root_key_path, make=False)
    assert len(after) == 1
    retired = read_root_keys(tmp_path / "root-key.retired", make=False)
    assert after != before
    fresh = opened(database, tmp_path, database_url)
    for tenant_id, key in places:
        assert (await fresh.read(tenant_id, key, None, READER)).value == tenant_id + key
    rotation = RootRotation(database=database, envelope=open_envelope(settings))
    assert await rotation.left() == 0
    assert not any(file.name.endswith(".new") for file in tmp_path.iterdir())
    print(f"{done} reads, {killed} kills, {whole} whole commands, {len(retired) + 1} root keys", file=sys.stderr)
    assert os.stat(settings.root_key_path).st_mode & 0o777 == 0o600
