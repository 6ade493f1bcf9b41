"""Chunks with their vectors and their full text: one table per tenant and embedding space, rebuilt from SQL at will."""

import stores.lance.before  # noqa: F401 - the first of them, by its name too
from stores.lance.plan import CommitReport
from stores.lance.store import LanceStore
from stores.lance.table import ChunkTable, StoredDocument, TableStatistics, TableVersion

__all__ = ["ChunkTable", "CommitReport", "LanceStore", "StoredDocument", "TableStatistics", "TableVersion"]
