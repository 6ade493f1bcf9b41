"""A real Lance directory, with the first tenant's table open."""

from pathlib import Path

import pytest

from stores.lance import ChunkTable, LanceStore
from tests.factories.chunks import EMBEDDER, TENANT


@pytest.fixture
def store(tmp_path: Path) -> LanceStore:
    return LanceStore(tmp_path / "lance")


@pytest.fixture
async def table(store: LanceStore) -> ChunkTable:
    return await store.open_table(TENANT, EMBEDDER.space, EMBEDDER.dimensions)
