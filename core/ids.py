"""Identifiers: UUIDv7 as plain strings, one type per noun."""

import hashlib
import uuid
from collections.abc import Callable
from typing import NewType

import uuid_utils

TenantId = NewType("TenantId", str)
ApiKeyId = NewType("ApiKeyId", str)
UserId = NewType("UserId", str)
SessionId = NewType("SessionId", str)
DocumentId = NewType("DocumentId", str)
ChunkId = NewType("ChunkId", str)
JobId = NewType("JobId", str)
GenerationId = NewType("GenerationId", str)
EventId = NewType("EventId", str)

IdSource = Callable[[], str]


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): sorts by the time it was made, so primary keys stay append-only."""
    return str(uuid_utils.uuid7())


def new_event_id() -> EventId:
    """Return an event id, `evt_<uuid>` as the API reference spells it."""
    return EventId(f"evt_{new_id()}")


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its canonical spelling (so equal ids are equal strings)."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def content_id(*parts: str) -> str:
    """Return a UUIDv8 derived from `parts`.

    Every part is length-prefixed before hashing (SHA-256), so no two different sequences share an input:
    ("ab", "c") and ("a", "bc") differ.
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    value = bytearray(digest.digest()[:16])
    value[6] = (value[6] & 0x0F) | 0x80
    value[8] = (value[8] & 0x3F) | 0x80
    return str(uuid.UUID(bytes=bytes(value)))
