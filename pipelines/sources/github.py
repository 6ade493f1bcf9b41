"""A repository as a source: one commit, cloned shallowly over https, its files listed by the hashes git gives them."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from core.errors import DocumentTooLarge, DocumentUnreadable, SourceNotFound, SourceTimedOut
from pipelines.document import SourceFile
from pipelines.sources.base import Brought, Item, Listing
from pipelines.sources.git_client import download
from pipelines.sources.git_unpack import LISTING, TOO_MUCH
from pipelines.sources.repository_address import RepositoryAddress
from stores.egress import Egress, Limits

_MEBIBYTE = 1024 * 1024
_HEAD_BYTES = 8_000
_ROOT = Path(__file__).resolve().parents[2]
# Binaries that have a parser here; all other files with a NUL in them are none that anybody could read.
_READABLE_BINARIES = (".pdf", ".docx", ".pptx", ".xlsx", ".xls", ".msg")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """Where repositories are, and how much of one is taken."""

    egress: Egress
    base_url: str = "https://github.com"
    max_pack_bytes: int = 256 * _MEBIBYTE
    max_bytes: int = 1024 * _MEBIBYTE
    max_file_bytes: int = 50 * _MEBIBYTE
    max_files: int = 20_000
    seconds: float = 300.0
    # A clone may take gigabytes of disk and memory for a while.
    at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    @asynccontextmanager
    async def repository(self, address: RepositoryAddress) -> AsyncIterator["Repository"]:
        """Clone, and keep the files for the length of the block. Raises IngestFailed."""
        async with self.at_once, _folder() as folder:
            pack = folder / "pack"
            limits = Limits(seconds=self.seconds, read_seconds=60, max_bytes=self.max_pack_bytes)
            wanted = await download(self.egress, self.base_url, address, pack, limits)
            await self._unpack(pack, wanted, folder, address)
            yield await asyncio.to_thread(_opened, address, self.base_url, folder)

    async def _unpack(self, pack: Path, wanted: str, folder: Path, address: RepositoryAddress) -> None:
        given = {
            "parent": os.getpid(),
            "pack": str(pack),
            "commit": wanted,
            "folder": str(folder),
            "path": address.path,
            "max_files": self.max_files,
            "max_file_bytes": self.max_file_bytes,
            "max_bytes": self.max_bytes,
            "memory_bytes": 2 * self.max_bytes,
            "seconds": int(self.seconds),
        }
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipelines.sources.git_unpack", json.dumps(given)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=_ROOT,
            # Neither our secrets nor anybody's git configuration is its business.
            env={"HOME": str(folder), "PATH": os.defpath},
        )
        try:
            async with asyncio.timeout(self.seconds):
                status = await child.wait()
        except TimeoutError as error:
            raise SourceTimedOut(
                "Unpacking the repository takes too long. Name a folder: owner/name@ref:folder."
            ) from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if status == TOO_MUCH:
            raise DocumentTooLarge("The repository has more files than are taken at once. Name a folder of it.")
        if status != 0:
            raise DocumentUnreadable("The repository cannot be unpacked: it is damaged, or far too large.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Implements Source over one commit. `skipped` counts what is no document: empty, too large, or a binary."""

    address: RepositoryAddress
    commit: str
    skipped: int
    _uri: str
    _folder: Path
    _blobs: Mapping[str, str]

    async def list(self, cursor: str | None) -> Listing:
        """Return all files in one part."""
        name = self.address.full_name
        return Listing(
            items=[
                Item(external_id=f"{name}:{path}", uri=f"{self._uri}/{quote(path)}", fingerprint=sha)
                for path, sha in self._blobs.items()
            ]
        )

    async def fetch(self, item: Item, known: Mapping[str, str]) -> Brought:
        sha = self._blobs[item.external_id.removeprefix(f"{self.address.full_name}:")]
        content = await asyncio.to_thread((self._folder / sha).read_bytes)
        return Brought(file=SourceFile(name=item.external_id, content=content))


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    # On a thread: a repository may have thousands of files to remove.
    made = await asyncio.to_thread(lambda: tempfile.TemporaryDirectory(prefix="codexos-git-"))
    try:
        yield Path(made.name)
    finally:
        await asyncio.to_thread(made.cleanup)


def _opened(address: RepositoryAddress, base_url: str, folder: Path) -> Repository:
    *files, commit = [json.loads(line) for line in (folder / LISTING).read_text("utf-8").splitlines()]
    blobs = {path: sha for path, sha, _ in files if _is_document(folder / sha, path)}
    if not files:
        raise SourceNotFound(f"There are no files at {address.path or '/'!r} in {address.full_name}.")
    return Repository(
        address=address,
        commit=commit,
        skipped=len(files) - len(blobs),
        _uri=f"{base_url}/{address.full_name}/blob/{commit}",
        _folder=folder,
        _blobs=blobs,
    )


def _is_document(file: Path, path: str) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES)
    return b"\0" not in head or path.lower().endswith(_READABLE_BINARIES)
