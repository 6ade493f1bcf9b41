"""Bytes as they were handed in, one object per tenant and content: rebuilding an index starts here."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any, NewType
from uuid import uuid4

import fsspec

from core.ids import TenantId

BlobKey = NewType("BlobKey", str)


class BlobStore:
    """A folder or an object store, by fsspec URL. Objects are immutable, so a second put of the same is free."""

    def __init__(self, url: str) -> None:
        filesystem, self._root = fsspec.core.url_to_fs(url)
        self._files: Any = filesystem

    def _path(self, tenant_id: TenantId, key: BlobKey) -> str:
        return f"{self._root}/{tenant_id}/{key[:2]}/{key}"

    async def put(self, tenant_id: TenantId, content: bytes) -> BlobKey:
        """Store `content` and return its key, the SHA-256 in hex. On return the bytes are whole and in place."""
        return await asyncio.to_thread(self._put, tenant_id, content)

    async def put_many(self, tenant_id: TenantId, contents: Sequence[bytes]) -> list[BlobKey]:
        """Store all of `contents` and return their keys."""
        return await asyncio.to_thread(lambda: [self._put(tenant_id, content) for content in contents])

    def _put(self, tenant_id: TenantId, content: bytes) -> BlobKey:
        key = BlobKey(hashlib.sha256(content).hexdigest())
        path = self._path(tenant_id, key)
        if self._files.exists(path):
            return key
        # Written beside and renamed: a reader, or a crash, never meets half an object.
        partial = f"{path}.{uuid4().hex}.partial"
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self._files.pipe_file(partial, content)
        self._files.mv(partial, path)
        return key

    async def get(self, tenant_id: TenantId, key: BlobKey) -> bytes:
        """Return the bytes. Raises FileNotFoundError."""
        content: bytes = await asyncio.to_thread(self._files.cat_file, self._path(tenant_id, key))
        return content
