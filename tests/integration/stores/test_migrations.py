"""History and models agree, on every backend."""

from stores.sql.migrations.run import differences, upgrade


async def test_migrated_database_is_what_the_models_say(database_url: str) -> None:
    """Autogenerate finds nothing left to do, and a second upgrade changes nothing."""
    await upgrade(database_url)
    assert await differences(database_url) == []
