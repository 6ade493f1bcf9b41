"""`python -m server admin vault rotate --root` and `retire-root`: another root key, while everything runs."""

import argparse
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import Settings
from server.cli.refusal import Refusal

if TYPE_CHECKING:
    from vault.root_rotation import RootRotation

# Cursors, and answers that are kept for retries, are recognised by the key of their day.
_RETIRED_AFTER = timedelta(days=1)
# A request that had begun to seal under the earlier key has long ended.
_SOONEST = timedelta(minutes=2)


def describe_root_key(commands: Any) -> None:
    """Add what takes earlier root keys out of use."""
    retire = commands.add_parser(
        "retire-root",
        help="take earlier root keys out of use, once nothing lies under them; a day after `rotate --root`",
    )
    retire.add_argument(
        "--now", action="store_true", help="do not wait for a day: retries and next pages of before may be refused"
    )
    retire.set_defaults(run=_retire)


async def rotate_root(settings: Settings) -> int:
    """Let a new root key seal, and put everything under it. Interrupted, it goes on when it is run again."""
    from vault.envelope import ROOT_KEY_BYTES
    from vault.root_keys import changing, read_root_keys, write_root_keys

    path = settings.root_key_path
    async with _rotation(settings) as rotation:
        with changing(path):
            if not await rotation.opens_some():
                raise Refusal(f"{path} does not hold the root key of this installation.")
            keys = read_root_keys(path, make=False)
            if len(keys) == 1:
                write_root_keys(path, (secrets.token_bytes(ROOT_KEY_BYTES), *keys))
                print(f"A new root key stands first in {path}. Back the file up.")
            else:
                print(f"{path} holds {len(keys)} keys: going on.")
            moved = await rotation.re_wrap()
            left = await rotation.left()
    print(f"{moved.done} seals are under the newest root key by this, {left} are under earlier ones.")
    if left:
        print(f"{moved.broken} could not be opened, and were left as they are. Run it again.", file=sys.stderr)
        return 1
    when = _changed_at(path) + _RETIRED_AFTER
    print(f"From {when:%Y-%m-%d %H:%M} UTC on, `retire-root` takes the earlier keys out of use.")
    return 0


async def show_root_keys(settings: Settings) -> None:
    """Print how many seals lie under which root key."""
    async with _rotation(settings) as rotation:
        newest, counts = rotation.envelope.newest, await rotation.counts()
    for prefix, count in sorted({newest: 0, **counts}.items()):
        print(f"root key {_called(prefix)}: seals {count}{', and what is sealed from now on' * (prefix == newest)}")


async def _retire(settings: Settings, asked: argparse.Namespace) -> int:
    from vault.root_keys import changing, put_aside, read_root_keys, write_root_keys

    path = settings.root_key_path
    async with _rotation(settings) as rotation:
        with changing(path):
            newest, *earlier = read_root_keys(path, make=False)
            if not earlier:
                print(f"{path} holds one root key: there is nothing to retire.")
                return 0
            wait = _changed_at(path) + (_SOONEST if asked.now else _RETIRED_AFTER) - datetime.now(UTC)
            if wait > timedelta():
                raise Refusal(f"Somebody may still need the earlier root key. Try again in {_spelled(wait)}.")
            if left := await rotation.left():
                raise Refusal(f"{left} seals lie under earlier root keys. Run `rotate --root` first: it goes on.")
            aside = put_aside(path, earlier)
            write_root_keys(path, (newest,))
    print(f"0 seals lie under earlier root keys. They are in {aside} now, which only backups of before need.")
    return 0


@asynccontextmanager
async def _rotation(settings: Settings) -> "AsyncIterator[RootRotation]":
    from stores.sql.engine import Database
    from vault.open import open_envelope
    from vault.root_keys import RootKeyUnusable
    from vault.root_rotation import RootRotation

    database = Database(settings.sql_url)
    try:
        yield RootRotation(database=database, envelope=open_envelope(settings))
    except RootKeyUnusable as error:
        raise Refusal(str(error)) from None
    finally:
        await database.dispose()


def _called(prefix: bytes) -> str:
    return prefix[1:].hex() or "of before keys had names"


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _spelled(wait: timedelta) -> str:
    minutes = int(wait.total_seconds() // 60) + 1
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60 + 1} hours"
