"""A development installation has a key from its first start; a production one has none that nobody made."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from server.cli import dev_key
from stores.sql.engine import Database
from stores.sql.models import ApiKeyRow, TenantRow, UserRow
from tests.integration.server.running import settings_for


@pytest.mark.parametrize(("environment", "credentials"), [("development", 1), ("production", 0)])
async def test_only_development_has_a_credential_that_nobody_made(
    environment: str, credentials: int, database_url: str, tmp_path: Path
) -> None:
    """Neither a key in the database or in a file, nor a tenant or a user; the development key is one, and kept."""
    settings = settings_for(tmp_path, database_url, environment=environment)
    made = await dev_key.ensure(settings)
    assert await dev_key.ensure(settings) == made
    assert (made is not None, settings.dev_api_key_file.exists()) == (bool(credentials),) * 2
    database = Database(database_url)
    async with database.reading() as session:
        counts = [
            await session.scalar(select(func.count()).select_from(row)) for row in (ApiKeyRow, TenantRow, UserRow)
        ]
    await database.dispose()
    assert counts == [credentials, credentials, 0]
