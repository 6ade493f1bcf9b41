"""What giving a secret out costs: over HTTP with the embedded store, and how much of that is cryptography.

    python -m benchmarks.vault [--reads 1000] [--bytes 100]

One client, one request after another. A read commits use, audit entry and event before it answers; a list of secrets,
which commits nothing, says what the hall and the client cost.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable

import httpx

from benchmarks.machine import heading, quantile
from benchmarks.system import Installation, installation, system
from core.clock import SystemClock
from core.ids import TenantId, new_id
from core.settings import Settings
from stores.secret_values import SecretValues
from stores.sql.engine import Database
from vault.embedded import EmbeddedStore
from vault.open import open_envelope
from vault.store import Place

SECRETS = "vault/secrets"


async def timed(client: httpx.AsyncClient, path: str, times: int) -> list[float]:
    """Return how many milliseconds each of so many requests took."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        (await client.get(path)).raise_for_status()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


async def unsealing(installed: Installation, settings: Settings, times: int, value: bytes) -> float:
    """Return the median of microseconds that unsealing one value takes, its three keys included."""
    database = Database(installed.sql_url)
    store = EmbeddedStore(database=database, envelope=open_envelope(settings), clock=SystemClock(), new_id=new_id)
    place = Place(tenant_id=TenantId(installed.tenant_id), key="bench", version=1)
    value_id = await store.write(place, value)
    async with database.reading() as session:
        found = await SecretValues(session, place.tenant_id).find(value_id)
    await database.dispose()
    assert found is not None
    return statistics.median(_microseconds(lambda: store.unsealed(place, *found)) for _ in range(times))


def _microseconds(do: Callable[[], object]) -> float:
    begun = time.perf_counter_ns()
    do()
    return (time.perf_counter_ns() - begun) / 1000


async def run(reads: int, size: int) -> None:
    print(heading("Giving a secret out, embedded store, SQLite"))
    async with installation(CODEXOS_EMBEDDER="hashed", CODEXOS_HTTP_WORKERS="1") as installed:
        async with system(installed, parts=("api",)) as running:
            stored = await running.client.post(SECRETS, json={"key": "app/bench", "value": "x" * size})
            stored.raise_for_status()
            await timed(running.client, f"{SECRETS}/app/bench", 50)  # warm
            read = await timed(running.client, f"{SECRETS}/app/bench", reads)
            listed = await timed(running.client, f"{SECRETS}?limit=1", reads)
        settings = Settings(home=installed.home)
        crypto = await unsealing(installed, settings, reads, b"x" * size)
    p50 = statistics.median(read)
    print(f"  {size} bytes, {reads} reads, load {os.getloadavg()[0]:.1f}")
    print(f"  read      p50 {p50:6.2f} ms   p95 {quantile(read, 0.95):6.2f} ms")
    print(f"  list      p50 {statistics.median(listed):6.2f} ms   p95 {quantile(listed, 0.95):6.2f} ms")
    print(f"  unsealing p50 {crypto:6.1f} µs, {crypto / 10 / p50:.2f} % of a read")


def main() -> None:
    arguments = argparse.ArgumentParser(description="What giving a secret out costs.")
    arguments.add_argument("--reads", type=int, default=1000)
    arguments.add_argument("--bytes", type=int, default=100)
    given = arguments.parse_args()
    asyncio.run(run(given.reads, given.bytes))


if __name__ == "__main__":
    main()
