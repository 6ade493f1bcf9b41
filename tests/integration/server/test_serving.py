"""Several processes behind one port, and how they end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from core.clock import SystemClock
from server.auth.api_keys.service import ensure_development_key
from stores.sql.engine import Database
from stores.sql.models import DocumentRow, IdempotencyRow

# On a busy machine the imports of three processes take their time; stopping must not.
START_SECONDS = 180
STOP_SECONDS = 20


@pytest.fixture
async def database(_migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Database]:
    file = tmp_path / "codexos.sqlite3"
    file.write_bytes(_migrated_sqlite.read_bytes())
    database = Database(f"sqlite+aiosqlite:///{file}")
    yield database
    await database.dispose()


@contextmanager
def serving(home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "CODEXOS_HOME": str(home),
        "CODEXOS_HTTP_PORT": str(port),
        "CODEXOS_HTTP_WORKERS": "2",
        "CODEXOS_REDIS_URL": f"unix://{home / 'no-redis.sock'}",
        "CODEXOS_DATABASE_URL": "",
        "CODEXOS_EMBEDDER": "hashed",
    }
    with (home / "api.log").open("wb") as log:
        command = [sys.executable, "-m", "server", "api"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def answering(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await client.get("/health")
                return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


async def test_two_processes_serve_and_stop_in_order(database: Database, tmp_path: Path, unused_port: int) -> None:
    """On SIGTERM a request that waits for its job is answered, the processes end, and the port is free."""
    key = await ensure_development_key(database, SystemClock(), kept=None)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{unused_port}", headers=headers, trust_env=False
    ) as client:
        with serving(tmp_path, unused_port) as process:
            await answering(client)
            body = {"source_type": "text", "source": "Nobody will work on this."}
            waits = {"prefer": "wait=60", "idempotency-key": "k"}
            posting = asyncio.create_task(client.post("/api/v1/rag/ingest", json=body, headers=waits, timeout=90))
            await stored(database)
            asked_to_stop = time.monotonic()
            process.send_signal(signal.SIGTERM)
            answer = await posting
            assert (answer.status_code, answer.json()["status"]) == (202, "queued")
            assert time.monotonic() - asked_to_stop < 5
            assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
        with pytest.raises(httpx.ConnectError):
            await client.get("/health")
    async with database.reading() as session:
        [record] = await session.scalars(select(IdempotencyRow))
    assert record.status == 202, "the answer that went out is the one a retry gets"


async def stored(database: Database) -> None:
    """Wait until the document is there: from then on its request waits for the job only."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            async with database.reading() as session:
                if await session.scalar(select(func.count(DocumentRow.id))):
                    return
            await asyncio.sleep(0.02)
