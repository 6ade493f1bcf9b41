"""The API key of a development installation, kept in a file that only its owner reads."""

import contextlib
import os
from pathlib import Path

from core.clock import SystemClock
from core.settings import Environment, Settings


async def ensure(settings: Settings) -> str | None:
    """Make the development tenant and its key unless the file holds one that works; return the key.

    None in production: nobody has a credential there that an operator or a person did not make.
    """
    if settings.environment is not Environment.DEVELOPMENT:
        return None
    from server.auth.api_keys.service import ensure_development_key
    from stores.sql.engine import Database

    file = settings.dev_api_key_file
    kept = None
    with contextlib.suppress(FileNotFoundError):
        kept = file.read_text("ascii").strip()
    database = Database(settings.sql_url)
    try:
        key = await ensure_development_key(database, SystemClock(), kept=kept)
    finally:
        await database.dispose()
    _write(file, key)
    return key


def _write(file: Path, key: str) -> None:
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
        opened.write(key + "\n")
    fresh.replace(file)  # never half a key, and never for a moment readable by others
