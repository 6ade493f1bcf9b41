"""A server for each test, on every database, with one tenant who may do everything."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.integration.server.running import Api, running, settings_for


@pytest.fixture
async def api(database_url: str, tmp_path: Path) -> AsyncIterator[Api]:
    async with running(settings_for(tmp_path, database_url)) as api:
        yield api


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with a key of the one tenant."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        yield client


@pytest.fixture
async def stranger(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client with a key of another tenant."""
    _, key = await api.tenant()
    async with api.client(key) as client:
        yield client


@pytest.fixture
def unused_port() -> int:
    """Return a port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
