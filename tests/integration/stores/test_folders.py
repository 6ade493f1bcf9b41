"""Sources read below the folders that were opened to them, and nowhere else."""

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from stores.folders import Folder, is_below


class Bucket(MemoryFileSystem):  # type: ignore[misc]
    """An object store as fsspec shows one: with ETags, and with listings that are remembered until they are let go."""

    protocol = "bucket"
    store: ClassVar[dict[str, Any]] = {}
    listings: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped: str = MemoryFileSystem._strip_protocol(path.removeprefix("bucket://"))
        return stripped

    def find(self, path: str, **options: Any) -> Any:
        if path not in self.listings:
            found = super().find(path, **options)
            etags = {name: hashlib.md5(self.store[name].getvalue()).hexdigest() for name in found}
            self.listings[path] = {name: {**info, "ETag": etags[name]} for name, info in found.items()}
        return self.listings[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listings.clear()


@pytest.fixture
def bucket() -> Bucket:
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    Bucket.store.clear()
    return Bucket()


async def test_a_bucket_is_a_folder_like_any_other(bucket: Bucket) -> None:
    """Files by their names below the prefix; each listing is new, and a file of the same length is another file."""
    assert is_below("bucket://papers/open", ["bucket://papers"])
    bucket.pipe({"bucket://papers/open/a.txt": b"one", "bucket://papers/open/deep/b.txt": b"two"})
    bucket.pipe({"bucket://papers/opened/c.txt": b"beside"})
    folder = Folder("bucket://papers/open", ["bucket://papers"])
    before = {entry.name: entry for entry in await folder.entries()}
    assert [(name, entry.size_bytes) for name, entry in before.items()] == [("a.txt", 3), ("deep/b.txt", 3)]
    assert await folder.read("deep/b.txt", max_bytes=2) == b"two"

    bucket.pipe({"bucket://papers/open/a.txt": b"ONE", "bucket://papers/open/d.txt": b"new"})
    after = {entry.name: entry for entry in await folder.entries()}
    assert list(after) == ["a.txt", "d.txt", "deep/b.txt"]
    assert after["a.txt"].fingerprint != before["a.txt"].fingerprint
    assert after["deep/b.txt"] == before["deep/b.txt"]
    with pytest.raises(FileNotFoundError):
        await Folder("bucket://papers/nothing", ["bucket://papers"]).entries()


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """Return an opened folder with one document, beside a secret one."""
    folder = tmp_path / "opened" / "documents"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("open")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.txt").write_text("secret")
    return tmp_path / "opened"


async def names(folder: Path, opened: Path) -> list[str]:
    return [entry.name for entry in await Folder(folder.as_uri(), [opened.as_uri()]).entries()]


async def test_files_below_a_root_are_read(opened: Path) -> None:
    """By their names relative to the folder."""
    assert await names(opened / "documents", opened) == ["a.txt"]
    folder = Folder((opened / "documents").as_uri(), [opened.as_uri()])
    assert await folder.read("a.txt", max_bytes=100) == b"open"


async def test_a_link_inside_the_folder_is_no_way_out(opened: Path) -> None:
    """Neither to a file nor to a folder, whether listed or asked for by name."""
    (opened / "documents" / "link.txt").symlink_to(opened.parent / "secret" / "key.txt")
    (opened / "documents" / "linked").symlink_to(opened.parent / "secret")
    assert await names(opened / "documents", opened) == ["a.txt"]
    folder = Folder((opened / "documents").as_uri(), [opened.as_uri()])
    for name in ("link.txt", "linked/key.txt", "../../secret/key.txt"):
        with pytest.raises(FileNotFoundError):
            await folder.read(name, max_bytes=100)


async def test_a_folder_that_is_a_link_out_of_its_root_is_no_folder(opened: Path) -> None:
    """Its name is below the root and it is not; a link within the root is."""
    (opened / "out").symlink_to(opened.parent / "secret")
    (opened / "in").symlink_to(opened / "documents")
    assert is_below((opened / "out").as_uri(), [opened.as_uri()])
    with pytest.raises(FileNotFoundError):
        await names(opened / "out", opened)
    with pytest.raises(FileNotFoundError):
        await Folder((opened / "out").as_uri(), [opened.as_uri()]).read("key.txt", max_bytes=100)
    assert await names(opened / "in", opened) == ["a.txt"]


@pytest.mark.parametrize(
    "location",
    [
        "file:///srv/documents-of-others",
        "file:///srv",
        "file:///srv/documents/../etc",
        "file:///srv/documents/%2e%2e/x",
        "file://[",
        "file://[/srv/documents",
    ],
)
def test_names_outside_the_roots_are_refused(location: str) -> None:
    """Neighbours with a longer name, parents, dots however they are spelled, and text that is no URL."""
    assert not is_below(location, ["file:///srv/documents"])
