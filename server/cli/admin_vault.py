"""`python -m server admin vault`: the keys that secrets lie under, and what is known of secrets; not what they are."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from core.settings import Settings
from server.cli.admin_root_key import describe_root_key, rotate_root, show_root_keys
from server.cli.admin_secrets import describe_secrets, show_elsewhere
from server.cli.refusal import Refusal

if TYPE_CHECKING:
    from vault.embedded import EmbeddedStore


def describe_vault(vault: argparse.ArgumentParser) -> None:
    """Add what can be asked of the vault."""
    commands = vault.add_subparsers(required=True, metavar="command")
    status = commands.add_parser("status", help="print each tenant's keys, and how many values each seals")
    status.set_defaults(run=_status)
    rotate = commands.add_parser("rotate", help="seal what is stored from now on under new keys of the tenants")
    rotate.add_argument("--root", action="store_true", help="put another root key in the place of the one there is")
    rotate.set_defaults(run=_rotate)
    re_wrap = commands.add_parser(
        "re-wrap", help="put what is stored under the newest keys; if it is interrupted, run it again"
    )
    re_wrap.set_defaults(run=_re_wrap)
    describe_root_key(commands)
    describe_secrets(commands)


async def _status(settings: Settings, _asked: argparse.Namespace) -> int:
    from stores.secret_values import SecretValues, tenants_with_keys

    await show_root_keys(settings)
    if settings.hashicorp_vault is not None:
        await show_elsewhere(settings)
        return 0
    async with _embedded(settings) as store, store.database.reading() as session:
        for tenant_id in await tenants_with_keys(session):
            values = SecretValues(session, tenant_id)
            counts = await values.count_by_key()
            for held in await values.keys():
                count = counts.get(held.id, 0)
                print(f"tenant {tenant_id}: key {held.number} of {held.created_at:%Y-%m-%d}, values {count}")
    return 0


async def _rotate(settings: Settings, asked: argparse.Namespace) -> int:
    from stores.secret_values import tenants_with_keys

    if asked.root:
        return await rotate_root(settings)
    async with _embedded(settings) as store:
        async with store.database.reading() as session:
            tenants = await tenants_with_keys(session)
        for tenant_id in tenants:
            print(f"tenant {tenant_id}: key {await store.rotate_key(tenant_id)}")
    return 0


async def _re_wrap(settings: Settings, _asked: argparse.Namespace) -> int:
    from stores.secret_values import tenants_with_keys

    broken = 0
    async with _embedded(settings) as store:
        async with store.database.reading() as session:
            tenants = await tenants_with_keys(session)
        for tenant_id in tenants:
            moved = await store.re_wrap(tenant_id)
            broken += moved.broken
            print(f"tenant {tenant_id}: {moved.done} values are under the newest key by this")
    if broken:
        print(f"{broken} values could not be opened, and were left as they are.", file=sys.stderr)
    return 1 if broken else 0


@asynccontextmanager
async def _embedded(settings: Settings) -> "AsyncIterator[EmbeddedStore]":
    from core.clock import SystemClock
    from core.ids import new_id
    from stores.sql.engine import Database
    from vault.embedded import EmbeddedStore
    from vault.open import open_envelope
    from vault.root_keys import RootKeyUnusable
    from vault.store import SecretBroken

    if settings.hashicorp_vault is not None:
        raise Refusal("Secrets lie in a HashiCorp Vault here. Look after its keys there.")
    database = Database(settings.sql_url)
    try:
        envelope = open_envelope(settings)
        yield EmbeddedStore(database=database, envelope=envelope, clock=SystemClock(), new_id=new_id)
    except RootKeyUnusable as error:
        raise Refusal(str(error)) from None
    except SecretBroken:
        raise Refusal(f"{settings.root_key_path} is not the root key that the secrets lie under.") from None
    finally:
        await database.dispose()
