"""`python -m server admin create-key`: what an operator does at the machine itself, without a credential."""

import argparse
import asyncio
from collections.abc import Sequence

from core.settings import Settings
from server.cli.refusal import Refusal


def main(settings: Settings, arguments: Sequence[str]) -> None:
    """Print a new key of a tenant, once."""
    parser = argparse.ArgumentParser(prog="python -m server admin")
    commands = parser.add_subparsers(required=True, metavar="command")
    create = commands.add_parser("create-key", help="make an API key and print it; it is not shown again")
    create.add_argument("--tenant", required=True, metavar="ID", help="the tenant's id")
    create.add_argument("--name", required=True, help="what the key is called in lists")
    create.add_argument("--scope", action="append", help="may be repeated; without it, the key may do everything")
    create.add_argument("--mode", choices=["live", "test"], default="live")
    print(asyncio.run(_create_key(settings, parser.parse_args(arguments))))


async def _create_key(settings: Settings, asked: argparse.Namespace) -> str:
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
    return key
