"""Blobs come back as they were put, each tenant's apart."""

import asyncio
import os
from pathlib import Path

import pytest

from core.ids import TenantId
from stores.blobs import BlobStore

ACME, OTHER = TenantId("acme"), TenantId("other")


async def test_same_content_put_by_many_at_once_is_one_whole_object(tmp_path: Path) -> None:
    """Concurrent puts agree on the key, and no partial object is left behind."""
    blobs = BlobStore(tmp_path.as_uri())
    content = bytes(range(256)) * 4096
    keys = await asyncio.gather(*(blobs.put(ACME, content) for _ in range(8)))
    assert len(set(keys)) == 1
    assert await blobs.get(ACME, keys[0]) == content
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [keys[0]]


async def test_another_tenants_blob_is_not_found(tmp_path: Path) -> None:
    """Knowing a content's hash does not open another tenant's copy."""
    blobs = BlobStore(tmp_path.as_uri())
    key = await blobs.put(ACME, b"ours")
    with pytest.raises(FileNotFoundError):
        await blobs.get(OTHER, key)


async def test_what_was_put_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes are synced before they get their name, and each folder on the way after; also by who finds them there."""
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        done.append(f"named {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    blobs = BlobStore(tmp_path.as_uri())
    key = await blobs.put(ACME, b"ours")
    folders = [str(tmp_path / "acme" / key[:2]), str(tmp_path / "acme"), str(tmp_path)]
    assert done[0].endswith(".partial")
    assert done[1:] == [f"named {key}", *folders]
    done.clear()
    await blobs.put(ACME, b"ours")
    assert done == folders
