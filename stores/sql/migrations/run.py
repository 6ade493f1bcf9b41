"""Bring a database to the newest revision, or say whether it is there."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from stores.sql.engine import Database
from stores.sql.models import Base

# Any constant will do, as long as everybody who migrates takes the same lock.
_ADVISORY_LOCK = 0x0C0DEC05


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # two starting servers take turns; SQLite's BEGIN IMMEDIATE does that
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def upgrade(url: str) -> None:
    """Apply every migration that `url`'s database lacks, in one transaction."""
    database = Database(url)
    try:
        async with database.engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await database.dispose()


def newest_revision() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("there are no migrations")
    return head


async def differences(url: str) -> list[object]:
    """Return how the migrated database differs from the models; empty when history and models agree."""
    database = Database(url)
    try:
        async with database.engine.connect() as connection:
            return await connection.run_sync(
                lambda sync: list(compare_metadata(MigrationContext.configure(sync), Base.metadata))
            )
    finally:
        await database.dispose()
