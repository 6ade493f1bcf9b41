"""`python -m server admin vault check` and `export`: what is known of secrets. What they are never shows."""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.settings import Settings
from server.cli.refusal import Refusal

if TYPE_CHECKING:
    from stores.sql.models import SecretRow, SecretVersionRow
    from vault.safe import Safe


def describe_secrets(commands: Any) -> None:
    """Add what can be asked of secrets themselves."""
    check = commands.add_parser("check", help="say which values are missing, and which belong to no secret")
    check.add_argument("--destroy", action="store_true", help="destroy values that belong to no secret")
    check.set_defaults(run=_check)
    export = commands.add_parser("export", help="print what is known of secrets, one a line as JSON; no values")
    export.add_argument("--tenant", metavar="ID", help="this tenant's only; without it, all of them")
    export.set_defaults(run=_export)


async def show_elsewhere(settings: Settings) -> None:
    """Print whether the HashiCorp Vault answers, and what is to be destroyed there. Raises Refusal if it does not."""
    from stores.secret_removals import count_removals

    async with _safe(settings) as safe:
        waiting, failures = await safe.database.read(count_removals(safe.clock.now()))
        print("Values lie in a HashiCorp Vault; tenants' keys are not needed there.")
        print(f"{waiting} values wait to be destroyed there{f', one failed {failures} times' * bool(failures)}.")
        await safe.store.health()
        print("It answers, and is unsealed.")


async def _check(settings: Settings, asked: argparse.Namespace) -> int:
    from core.ids import TenantId
    from stores.tenants import every_tenant
    from vault.check import check, destroy_strays

    wrong = 0
    async with _safe(settings) as safe:
        for tenant_id in await every_tenant(safe.database):
            found = await check(safe, TenantId(tenant_id))
            for key, number in found.lost:
                print(f"tenant {tenant_id}: version {number} of {key} cannot be read.", file=sys.stderr)
            for stray in found.strays:
                print(f"tenant {tenant_id}: a value under {stray.key} ({stray.number}) is no version.", file=sys.stderr)
            if asked.destroy:
                await destroy_strays(safe, TenantId(tenant_id), found.strays)
            else:
                wrong += len(found.strays)
            wrong += len(found.lost)
            if found.good or found.lost or found.strays:
                print(
                    f"tenant {tenant_id}: {found.good} values are good, {len(found.lost)} lost, "
                    f"{len(found.strays)} strays{' destroyed' * asked.destroy}"
                )
    return 1 if wrong else 0


async def _export(settings: Settings, asked: argparse.Namespace) -> int:
    from core.ids import TenantId
    from stores.sql.engine import Database
    from vault.check import every_secret

    database = Database(settings.sql_url)
    try:
        async for secret, versions in every_secret(database, TenantId(asked.tenant) if asked.tenant else None):
            print(json.dumps(_described(secret, versions), default=datetime.isoformat))
    finally:
        await database.dispose()
    return 0


def _described(secret: "SecretRow", versions: "Sequence[SecretVersionRow]") -> dict[str, Any]:
    of_secret = ("tenant_id", "key", "version", "expires_at", "require_mfa", "allowed_hosts",
                 "created_at", "created_by", "updated_at", "deleted_at")  # fmt: skip
    of_version = ("number", "created_at", "created_by", "expires_at", "destroyed_at")
    return {
        **{name: getattr(secret, name) for name in of_secret},
        "tags": secret.tags.split(),
        "versions": [{name: getattr(version, name) for name in of_version} for version in versions],
    }


@asynccontextmanager
async def _safe(settings: Settings) -> "AsyncIterator[Safe]":
    from core.clock import SystemClock
    from stores.outbox import Outbox
    from stores.sql.engine import Database
    from vault.open import open_envelope, open_safe
    from vault.root_keys import RootKeyUnusable
    from vault.store import SecretStoreSealed, SecretStoreUnreachable

    database, clock = Database(settings.sql_url), SystemClock()
    try:
        yield open_safe(settings, database, open_envelope(settings), clock, outbox=Outbox(clock))
    except (RootKeyUnusable, SecretStoreSealed, SecretStoreUnreachable) as error:
        raise Refusal(error.message) from None
    finally:
        await database.dispose()
