"""Files below the folders that the operator has opened to sources; nothing else can be named."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

# What fsspec imports for the kinds that people have most.
_PARTS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """`name` is relative to the folder; `fingerprint` changes with the file."""

    name: str
    size_bytes: int
    fingerprint: str


def is_below(location: str, roots: Sequence[str]) -> bool:
    """Return whether an fsspec URL names one of `roots` or something below it, by its text alone."""
    try:
        path = urlsplit(location).path
    except ValueError:  # text that is no URL, such as "file://["
        return False
    if "\\" in location or "%" in location or any(part in (".", "..") for part in path.split("/")):
        return False
    wanted = location.rstrip("/")
    return any(wanted == root.rstrip("/") or wanted.startswith(root.rstrip("/") + "/") for root in roots)


def missing_part(location: str) -> str | None:
    """Return what to do about a kind of folder that this installation cannot read; None if it can."""
    kind = urlsplit(location).scheme
    if kind not in fsspec.available_protocols():
        return f"There is no kind of folder called {kind}. Write file:///path or s3://bucket/prefix."
    try:
        fsspec.get_filesystem_class(kind)
    except ImportError:
        part = _PARTS.get(kind, "the package that fsspec names for it")
        return (
            f"Folders at {kind}:// need {part}, which is not part of the installation. "
            "The operator adds it to the environment of the API and of Dagster, and starts them again."
        )
    return None


class Folder:
    """One folder of a disk or an object store. Links that lead out of it, or it out of `roots`, are not followed."""

    def __init__(self, url: str, roots: Sequence[str]) -> None:
        filesystem, root = fsspec.core.url_to_fs(url)
        self._files: Any = filesystem
        self._root: str = root.rstrip("/")
        self._is_local = isinstance(filesystem, LocalFileSystem)
        self._roots = [urlsplit(opened).path for opened in roots if urlsplit(opened).scheme in ("file", "local")]

    async def entries(self) -> list[FileEntry]:
        """Return all files below the folder. Raises OSError."""
        return await asyncio.to_thread(self._entries)

    async def read(self, name: str, *, max_bytes: int) -> bytes:
        """Return a file, at most one byte more than `max_bytes` of it. Raises OSError."""
        return await asyncio.to_thread(self._read, name, max_bytes)

    def _entries(self) -> list[FileEntry]:
        if not self._files.isdir(self._root) or (self._is_local and self._is_outside()):
            raise FileNotFoundError(self._root)
        self._files.invalidate_cache()  # object stores' listings are remembered, for this process's next crawl as well
        found = self._files.find(self._root, detail=True)
        return [
            FileEntry(name=path.removeprefix(f"{self._root}/"), size_bytes=info["size"], fingerprint=_fingerprint(info))
            for path, info in sorted(found.items())
            if info["type"] == "file" and not info.get("islink")
        ]

    def _read(self, name: str, max_bytes: int) -> bytes:
        path = f"{self._root}/{name}"
        if self._is_local and (self._is_outside() or self._leads_out(path)):
            raise FileNotFoundError(path)
        with self._files.open(path, "rb") as file:
            content: bytes = file.read(max_bytes + 1)
        return content

    def _is_outside(self) -> bool:
        # The name was below a root; what it is a link to need not be.
        real = os.path.realpath(self._root) + os.sep
        return not any(real.startswith(os.path.realpath(root).rstrip(os.sep) + os.sep) for root in self._roots)

    def _leads_out(self, path: str) -> bool:
        return not os.path.realpath(path).startswith(os.path.realpath(self._root) + os.sep)


def _fingerprint(info: dict[str, Any]) -> str:
    said = [info.get(key) for key in ("ETag", "etag", "mtime", "ino", "LastModified", "last_modified", "size")]
    return hashlib.sha256(repr(said).encode()).hexdigest()
