"""The shape of a chunk table, and of the names its tables go by."""

import re

import pyarrow as pa

from core.ids import TenantId

JSON = pa.json_()

# Told to Lance as the key of the table: with it, two writers adding the same new chunk conflict and one retries;
# without it both would succeed and the chunk would be there twice. It must never carry a scalar index of its own.
_PRIMARY_KEY = {"lance-schema:unenforced-primary-key": "true"}

VERSION_COLUMNS = ["chunk_id", "document_id", "revision"]
DISPLAY_COLUMNS = [
    "chunk_id",
    "document_id",
    "revision",
    "position",
    "text",
    "page",
    "section",
    "start",
    "end",
    "tokens",
    "source",
    "source_type",
    "collection",
    "metadata",
]

_SAFE = re.compile(r"[A-Za-z0-9-]{1,80}")


def chunk_schema(dimensions: int) -> pa.Schema:
    """Return the schema of a table whose vectors have `dimensions` numbers.

    `metadata` is the user's; JSON inside Lance, where integers beyond 64 bits become floats. `terms` is what filters
    look up (see terms.py).
    """
    return pa.schema(
        [
            pa.field("chunk_id", pa.string(), nullable=False, metadata=_PRIMARY_KEY),
            pa.field("document_id", pa.string(), nullable=False),
            pa.field("revision", pa.int32(), nullable=False),
            pa.field("position", pa.int32(), nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
            pa.field("page", pa.int32()),
            pa.field("section", pa.string()),
            pa.field("start", pa.int32(), nullable=False),
            pa.field("end", pa.int32(), nullable=False),
            pa.field("tokens", pa.int32(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("source_type", pa.string(), nullable=False),
            pa.field("collection", pa.string(), nullable=False),
            pa.field("metadata", JSON, nullable=False),
            pa.field("terms", pa.list_(pa.string()), nullable=False),
        ]
    )


def table_name(tenant_id: TenantId, space: str) -> str:
    """Return the name of the tenant's table for one embedding space: one folder, never a path."""
    for part in (tenant_id, space):
        if not _SAFE.fullmatch(part):
            raise ValueError(f"Not usable in a table's name: {part!r}")
    return f"chunks_{tenant_id}_{space}"
