"""How each part is asked whether it serves."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from server.health.schemas import State
from server.health.service import Check
from stores.redis import HEARTBEAT_KEY
from stores.sql.engine import Database

if TYPE_CHECKING:
    from redis.asyncio import Redis


def checks(
    database: Database,
    redis: "Redis",
    *,
    lance_path: Path,
    embedder: Callable[[], State],
    dagster_answers: Callable[[], Awaitable[bool]],
) -> dict[str, Check]:
    """Return a question to each part, by the part's name."""

    async def sql() -> State:
        await database.ping()
        return "ok"

    async def redis_server() -> State:
        await redis.ping()
        return "ok"

    async def index() -> State:
        return "ok" if await asyncio.to_thread(_is_writable, lance_path) else "down"

    async def model() -> State:
        return embedder()

    async def worker() -> State:
        return "ok" if await redis.exists(HEARTBEAT_KEY) else "down"

    async def dagster() -> State:
        return "ok" if await dagster_answers() else "down"

    return {
        "sql": sql,
        "redis": redis_server,
        "lance": index,
        "embedder": model,
        "worker": worker,
        "dagster": dagster,
    }


def _is_writable(folder: Path) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
