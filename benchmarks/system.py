"""A whole small system for one measurement: migrated stores, a key, the API and the stream worker as processes."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from core.clock import SystemClock
from server.auth.api_keys.service import ApiKeys, ensure_development_key
from stores.embedded_redis import running
from stores.sql.engine import Database
from stores.sql.migrations.run import upgrade

_START_SECONDS = 300  # a busy machine takes its time


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A data folder with its database migrated, a development tenant and its key; nothing runs but Redis."""

    home: Path
    sql_url: str
    key: str
    tenant_id: str
    environment: dict[str, str]


def free_port() -> int:
    """Return a port nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def installation(**environment: str) -> AsyncIterator[Installation]:
    """Make one in a temporary folder; it is gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix="codexos-bench-") as folder, running(Path(folder)) as redis_url:
        home = Path(folder)
        sql_url = f"sqlite+aiosqlite:///{home / 'codexos.sqlite3'}"
        await upgrade(sql_url)
        database = Database(sql_url)
        key = await ensure_development_key(database, SystemClock(), kept=None)
        principal = await ApiKeys(database, SystemClock()).find(key)
        assert principal is not None
        await database.dispose()
        yield Installation(
            home=home,
            sql_url=sql_url,
            key=key,
            tenant_id=principal.tenant_id,
            environment={
                "CODEXOS_HOME": folder,
                "CODEXOS_RATE_LIMIT_AUTHENTICATED_PER_MINUTE": "1000000",
                "CODEXOS_REDIS_URL": redis_url,
                "CODEXOS_LOG_LEVEL": "WARNING",
                **environment,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What was started, and a client of its API that carries the key."""

    client: httpx.AsyncClient
    processes: Mapping[str, "subprocess.Popen[bytes]"]

    def resident_bytes(self, part: str) -> int:
        """Return the memory of a part's processes, each page they share counted once (Pss of Linux's smaps_rollup)."""
        return sum(_resident_bytes(folder, self.processes[part].pid) for folder in Path("/proc").glob("[0-9]*"))


def _resident_bytes(folder: Path, session: int) -> int:
    try:
        # The command's name, in brackets, may hold anything; the session is the fourth word after it.
        if int((folder / "stat").read_text("utf-8").rpartition(")")[2].split()[3]) != session:
            return 0
        lines = (folder / "smaps_rollup").read_text("utf-8").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return 0


@asynccontextmanager
async def system(installed: Installation, *, parts: Sequence[str] = ("api", "worker")) -> AsyncIterator[System]:
    """Start `parts`, wait until the API answers, yield them, end what was started."""
    port = free_port()
    environment = os.environ | installed.environment | {"CODEXOS_HTTP_PORT": str(port)}
    async with AsyncExitStack() as stack:
        processes = {}
        for part in parts:
            log = stack.enter_context((installed.home / f"{part}.log").open("ab"))
            command = [sys.executable, "-m", "server", part]
            processes[part] = _start(command, environment, log)
            stack.callback(_end, processes[part])
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/v1",
            headers={"Authorization": f"Bearer {installed.key}"},
            timeout=60,
        )
        await stack.enter_async_context(client)
        await _until_it_answers(client, f"http://127.0.0.1:{port}/health")
        yield System(client=client, processes=processes)


def _start(command: list[str], environment: dict[str, str], log: BinaryIO) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _until_it_answers(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while True:
            try:
                if (await client.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
