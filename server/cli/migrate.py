"""`python -m server migrate`: bring the database to the newest revision."""

import asyncio

from core.settings import Settings
from server.cli.refusal import Refusal


def main(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    asyncio.run(migrate(settings))
    print("The database is at the newest revision.")


async def migrate(settings: Settings) -> None:
    """Apply the missing migrations. Raises Refusal if the database cannot be reached."""
    from stores.sql.engine import Database
    from stores.sql.migrations.run import upgrade

    database = Database(settings.sql_url)
    try:
        await database.ping()
    except Exception as error:  # each driver has its own; all mean that there is no database to work with
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise Refusal(f"the database does not answer: {reason}; look at CODEXOS_DATABASE_URL.") from error
    finally:
        await database.dispose()
    await upgrade(settings.sql_url)
