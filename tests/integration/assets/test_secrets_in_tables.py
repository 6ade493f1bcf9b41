"""What batches hand from stage to stage, and what Dagster keeps of them, holds no secret of the tenant they are for."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from core.clock import SystemClock
from core.ids import new_id
from stores.sql.models import Lane
from tests.factories.safes import a_safe
from tests.integration.assets.batch import Batch
from tests.integration.server.test_canary import Canaries
from vault.access import Reader, Terms


def spelled(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


def test_no_secret_is_in_what_a_batch_leaves(stored_batch: Batch, home: Path, tmp_path: Path) -> None:
    """0 of them in any cell of the Parquet tables, which are compressed, nor in a file; the text itself is found."""
    tenant_id = stored_batch.tenant(bucket=3)
    secrets = Canaries(secrets={"plain": f"sk_live_{new_id()}", "quoted": f'canary "{new_id()}" ü'})

    async def use(poster: Any) -> None:
        safe = a_safe(poster.database, SystemClock())
        for key, value in secrets.secrets.items():
            await safe.put(tenant_id, key, value, Terms(), expires_at=None, cas=None, by="key:k")
            assert (await safe.read(tenant_id, key, None, Reader(principal="key:k"))).value == value

    stored_batch.run(use)
    text = Canaries(secrets={"text": "The dome opens at dusk"})
    stored_batch.post(tenant_id, [f"{text.secrets['text']}."], lane=Lane.BATCH)
    stored_batch.materialize(3)
    tables = list(home.rglob("*.parquet"))
    assert len(tables) == 5
    cells = b"\n".join(
        json.dumps(pl.read_parquet(table).rows(named=True), default=spelled, ensure_ascii=False).encode()
        for table in tables
    )
    assert text.found_in(cells)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("dagster" in str(path) for path in files)
    assert secrets.found_in(cells) == []
    assert {str(path): found for path in files if (found := secrets.found_in(path.read_bytes()))} == {}
