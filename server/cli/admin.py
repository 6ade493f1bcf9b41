"""`python -m server admin`: what an operator does at the machine itself, without a credential."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from core.settings import Settings
from server.cli.admin_vault import describe_vault
from server.cli.refusal import Refusal

Run = Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, int]]


def main(settings: Settings, arguments: Sequence[str]) -> int:
    """Do what `arguments` ask, print what came of it, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m server admin")
    commands = parser.add_subparsers(required=True, metavar="command")
    _describe_create_key(commands.add_parser("create-key", help="make an API key and print it; it is not shown again"))
    audit = commands.add_parser("audit", help="check the audit log")
    verify = audit.add_subparsers(required=True, metavar="command").add_parser(
        "verify", help="walk along the chains of hashes; status 1 and a sentence if one is broken"
    )
    verify.add_argument("--tenant", metavar="ID", help="this tenant's chain only; without it, all of them")
    verify.set_defaults(run=_verify_audit)
    rotate = commands.add_parser("rotate-signing-key", help="let a new key sign access tokens, without a refused one")
    rotate.set_defaults(run=_rotate_signing_key)
    reset = commands.add_parser(
        "reset-password", help="give a user a new random password, print it, and end all their sessions"
    )
    reset.add_argument("email", help="the address under which they registered")
    reset.set_defaults(run=_reset_password)
    describe_vault(commands.add_parser("vault", help="look after the keys of secrets"))
    asked = parser.parse_args(arguments)
    run: Run = asked.run
    return asyncio.run(run(settings, asked))


def _describe_create_key(create: argparse.ArgumentParser) -> None:
    create.add_argument("--tenant", required=True, metavar="ID", help="the tenant's id")
    create.add_argument("--name", required=True, help="what the key is called in lists")
    create.add_argument("--scope", action="append", help="may be repeated; without it, the key may do everything")
    create.add_argument("--mode", choices=["live", "test"], default="live")
    create.set_defaults(run=_create_key)


async def _create_key(settings: Settings, asked: argparse.Namespace) -> int:
    from core.clock import SystemClock
    from server.auth.api_keys.service import issue_key
    from server.auth.principal import Scope
    from stores.audit import AuditLog
    from stores.sql.engine import Database

    try:
        scopes = [Scope(scope) for scope in asked.scope or Scope]
    except ValueError as error:
        raise Refusal(f"{error}; there are {', '.join(Scope)}.") from None
    clock = SystemClock()
    database = Database(settings.sql_url)
    try:
        key = await issue_key(
            database, clock, AuditLog(clock), asked.tenant, name=asked.name, mode=asked.mode, scopes=scopes
        )
    finally:
        await database.dispose()
    if key is None:
        raise Refusal(f"there is no tenant {asked.tenant}.")
    print(key)
    return 0


async def _reset_password(settings: Settings, asked: argparse.Namespace) -> int:
    from core.clock import SystemClock
    from server.auth.sessions.passwords import Passwords
    from server.auth.sessions.service import reset_password
    from server.auth.tenants.account_log import AccountLog
    from server.auth.tenants.service import Memberships
    from stores.audit import AuditLog
    from stores.sql.engine import Database

    clock = SystemClock()
    database = Database(settings.sql_url)
    account_log = AccountLog(audit=AuditLog(clock), memberships=Memberships(database, clock))
    try:
        password = await reset_password(database, clock, account_log, Passwords(), asked.email)
    finally:
        await database.dispose()
    if password is None:
        raise Refusal("nobody who may log in has this address.")
    print(password)
    return 0


async def _verify_audit(settings: Settings, asked: argparse.Namespace) -> int:
    from core.ids import TenantId
    from stores.audit import chained_tenants, verify
    from stores.sql.engine import Database

    database, broken = Database(settings.sql_url), 0
    try:
        async with database.reading() as session:
            tenants = [TenantId(asked.tenant)] if asked.tenant else await chained_tenants(session)
            for tenant_id in tenants:
                verdict = await verify(session, tenant_id)
                if verdict.fault is not None:
                    broken = 1
                    print(f"tenant {tenant_id}: {verdict.fault}.", file=sys.stderr)
                else:
                    print(f"tenant {tenant_id}: {verdict.links} entries hold; the newest hash is {verdict.head}")
    finally:
        await database.dispose()
    return broken


async def _rotate_signing_key(settings: Settings, _asked: argparse.Namespace) -> int:
    from core.clock import SystemClock
    from server.auth.sessions.signing.service import OUTLIVES, SIGNS_AFTER, SigningKeys
    from stores.sql.engine import Database
    from vault.envelope import SealBroken
    from vault.open import open_envelope
    from vault.root_keys import RootKeyUnusable

    database = Database(settings.sql_url)
    try:
        kid = await SigningKeys(database, open_envelope(settings), SystemClock()).rotate()
    except SealBroken:
        raise Refusal(f"{settings.root_key_path} is not the root key of this installation.") from None
    except RootKeyUnusable as error:
        raise Refusal(str(error)) from None
    finally:
        await database.dispose()
    last = (SIGNS_AFTER + OUTLIVES).total_seconds() / 60
    print(
        f"{kid} signs in {SIGNS_AFTER.total_seconds():.0f} seconds; the keys before it verify for {last:.0f} minutes."
    )
    return 0
