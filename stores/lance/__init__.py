"""Chunks with their vectors and their full text: one table per tenant and embedding space, rebuilt from SQL at will."""

from stores.lance.plan import CommitReport
from stores.lance.store import LanceStore
from stores.lance.table import ChunkTable, StoredDocument, TableStatistics

__all__ = ["ChunkTable", "CommitReport", "LanceStore", "StoredDocument", "TableStatistics"]
