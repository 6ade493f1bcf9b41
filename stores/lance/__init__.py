"""Chunks with their vectors and their full text: one table per tenant and embedding space, rebuilt from SQL at will."""

import os

# Read by LanceDB when it is first imported. Its warnings are about its own workings (an empty partition, a lost race
# that is tried again) and would be a line per search on stderr.
os.environ.setdefault("LANCE_LOG", "error")

from stores.lance.plan import CommitReport
from stores.lance.store import LanceStore
from stores.lance.table import ChunkTable, StoredDocument, TableStatistics, TableVersion

__all__ = ["ChunkTable", "CommitReport", "LanceStore", "StoredDocument", "TableStatistics", "TableVersion"]
