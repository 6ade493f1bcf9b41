"""`/ready` looks at the real parts: what is there is ok, what is not is named."""

from pathlib import Path

import httpx

from stores.redis import HEARTBEAT_KEY, connect
from tests.integration.server.running import running, settings_for


async def test_each_part_is_looked_at(database_url: str, redis_url: str, tmp_path: Path, unused_port: int) -> None:
    """Without a worker and Dagster the rest is ok; with a heartbeat the worker is, too."""
    redis = connect(redis_url)
    await redis.delete(HEARTBEAT_KEY)
    settings = settings_for(tmp_path, database_url, redis_url=redis_url, dagster_port=unused_port)
    async with running(settings) as api, api.client() as client:
        while (answer := await client.get("/ready")).json()["parts"]["embedder"]["status"] == "starting":
            pass
        assert answer.status_code == 503
        assert states(answer) == {
            "sql": "ok",
            "redis": "ok",
            "lance": "ok",
            "embedder": "ok",
            "worker": "down",
            "dagster": "down",
        }
    await redis.set(HEARTBEAT_KEY, "1", ex=10)
    async with running(settings) as api, api.client() as client:
        assert states(await client.get("/ready"))["worker"] == "ok"
    await redis.delete(HEARTBEAT_KEY)
    await redis.aclose()


def states(answer: httpx.Response) -> dict[str, str]:
    return {name: part["status"] for name, part in answer.json()["parts"].items()}


async def test_nothing_is_told_of_how_a_part_fails(database_url: str, tmp_path: Path, unused_port: int) -> None:
    """Names and states, no addresses and no messages."""
    settings = settings_for(tmp_path, database_url, dagster_port=unused_port)
    async with running(settings) as api, api.client() as client:
        answer = await client.get("/ready")
    assert states(answer)["redis"] == "down"
    assert str(tmp_path) not in answer.text
    assert all(part.keys() == {"status", "seconds"} for part in answer.json()["parts"].values())
