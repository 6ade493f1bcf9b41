"""API processes as in production: started, killed and started again, several over the same stores."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

# On a busy machine the imports of a process take their time.
START_SECONDS = 180


class ServedApi:
    """`python -m server api`, or another module that serves, with one worker on a port of its own."""

    def __init__(
        self,
        home: Path,
        port: int,
        database_url: str,
        redis_url: str | None = None,
        command: Sequence[str] = ("server", "api"),
        **settings: str,
    ) -> None:
        self._command = [sys.executable, "-m", *command]
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / f"api-{port}.log"
        self._environment = os.environ | {
            "CODEXOS_HOME": str(home),
            "CODEXOS_HTTP_PORT": str(port),
            "CODEXOS_HTTP_WORKERS": "1",
            "CODEXOS_REDIS_URL": redis_url or f"unix://{home / 'no-redis.sock'}",
            "CODEXOS_DATABASE_URL": database_url,
            "CODEXOS_EMBEDDER": "hashed",
            "CODEXOS_RATE_LIMIT_AUTHENTICATED_PER_MINUTE": "1000000",
            "CODEXOS_RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "1000000",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it; `answering` waits until it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    async def answering(self) -> None:
        async with asyncio.timeout(START_SECONDS), self.client() as client:
            while True:
                assert self._process is not None
                assert self._process.poll() is None, self.log.read_text("utf-8")[-2000:]
                try:
                    await client.get("/health")
                    return
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)

    def ended(self) -> int:
        """Wait for its end; return the exit status."""
        assert self._process is not None
        return self._process.wait(timeout=START_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal to the parent and its worker alike."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """kill -9: nothing is finished, nothing is said."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def client(self, key: str | None = None) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=64)
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=90, trust_env=False, limits=limits)


@asynccontextmanager
async def served(*apis: ServedApi) -> AsyncIterator[None]:
    """Start all, together; kill all at the end."""
    try:
        for api in apis:
            api.begin()
        await asyncio.gather(*(api.answering() for api in apis))
        yield
    finally:
        for api in apis:
            api.kill()
