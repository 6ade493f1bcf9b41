"""Bytes as they were handed in, one object per tenant and content: rebuilding an index starts here."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NewType
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from core.clock import Clock, SystemClock
from core.ids import TenantId
from stores.durable_files import settle, write_whole

BlobKey = NewType("BlobKey", str)

IsUsed = Callable[[], Awaitable[bool]]

_ASIDE = ".erased"
# Between putting an object and committing the revision that names it lie seconds, at most a minute or two. An object
# older than the first is written again when it is put, so that its date says that somebody is about to need it.
_REWRITTEN_AFTER = timedelta(minutes=10)
_LEFT_ALONE_FOR = timedelta(hours=1)


class BlobStore:
    """A folder or an object store, by fsspec URL. Objects are immutable, so a second put of the same is cheap."""

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()  # the one that files are dated by
        filesystem, self._root = fsspec.core.url_to_fs(url)
        self._files: Any = filesystem
        self._is_folder = isinstance(filesystem, LocalFileSystem)

    def _path(self, tenant_id: TenantId, key: BlobKey) -> str:
        return f"{self._root}/{tenant_id}/{key[:2]}/{key}"

    async def put(self, tenant_id: TenantId, content: bytes) -> BlobKey:
        """Store `content` and return its key, the SHA-256 in hex. On return the bytes are whole, and on the disk."""
        [key] = await self.put_many(tenant_id, [content])
        return key

    async def put_many(self, tenant_id: TenantId, contents: Sequence[bytes]) -> list[BlobKey]:
        """Store all of `contents` and return their keys."""
        return await asyncio.to_thread(self._put, tenant_id, contents)

    def _put(self, tenant_id: TenantId, contents: Sequence[bytes]) -> list[BlobKey]:
        keys = [BlobKey(hashlib.sha256(content).hexdigest()) for content in contents]
        paths = [self._path(tenant_id, key) for key in keys]
        for path, content in zip(paths, contents, strict=True):
            if not self._is_younger(path, _REWRITTEN_AFTER):
                self._write(path, content)
        if self._is_folder:
            # Also of what was there: whoever wrote it this moment may not have come to this line yet.
            settle(map(Path, paths), Path(self._root))
        return keys

    def _write(self, path: str, content: bytes) -> None:
        if self._is_folder:
            write_whole(Path(path), content)
            return
        partial = f"{path}.{uuid4().hex}.partial"
        self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self._files.pipe_file(partial, content)
        self._files.mv(partial, path)

    async def get(self, tenant_id: TenantId, key: BlobKey) -> bytes:
        """Return the bytes. Raises FileNotFoundError."""
        path = self._path(tenant_id, key)
        try:
            content: bytes = await asyncio.to_thread(self._files.cat_file, path)
        except FileNotFoundError:  # being erased this moment, or not after all
            content = await asyncio.to_thread(self._files.cat_file, path + _ASIDE)
        return content

    async def erase(self, tenant_id: TenantId, key: BlobKey, is_used: IsUsed) -> bool:
        """Delete the object unless it is used; whether it is gone.

        Whoever puts the same content meanwhile keeps it: what was put within the hour is left alone, since its
        revision may be about to be committed, and is asked for again after the object was moved aside.
        """
        path = self._path(tenant_id, key)
        if await is_used():
            return False
        await asyncio.to_thread(self._move_aside, path)
        if await asyncio.to_thread(self._is_younger, path + _ASIDE, _LEFT_ALONE_FOR) or await is_used():
            await asyncio.to_thread(self._move_back, path)
            return False
        await asyncio.to_thread(self._remove, path + _ASIDE)
        return True

    def _is_younger(self, path: str, age: timedelta) -> bool:
        try:
            modified: datetime = self._files.modified(path)
        except FileNotFoundError:
            return False
        return self._clock.now() - modified.replace(tzinfo=modified.tzinfo or UTC) < age

    def _move_aside(self, path: str) -> None:
        with suppress(FileNotFoundError):  # somebody did before, and did not come back
            self._files.mv(path, path + _ASIDE)

    def _move_back(self, path: str) -> None:
        if not self._files.exists(path):
            self._files.mv(path + _ASIDE, path)
        else:
            self._remove(path + _ASIDE)

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(path)
