"""History and models agree, on every backend."""

import pytest

from core.errors import ServiceUnavailable
from stores.sql.engine import Database
from stores.sql.migrations.run import differences, upgrade


async def test_migrated_database_is_what_the_models_say(database_url: str) -> None:
    """Autogenerate finds nothing left to do, and a second upgrade changes nothing."""
    await upgrade(database_url)
    assert await differences(database_url) == []


async def test_database_that_is_away_says_so() -> None:
    """A server that does not answer is an error with a sentence, not a driver's."""
    database = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(ServiceUnavailable, match="database is not answering"):
        await database.ping()
    await database.dispose()
