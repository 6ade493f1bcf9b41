"""A process that unpacks one pack a stranger sent: `python -m pipelines.sources.git_unpack`. It has little to lose.

It writes the files of one commit's tree, each under the name of its blob, and a listing. Links, submodules and names
that are not text are left out: nothing is ever written under a name from the repository.
"""

import json
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo

from pipelines.parsing.confinement import die_with, leave_network

LISTING = "listing.jsonl"
_DEEPEST = 64
TOO_MUCH = 3
"""The exit status of a pack that would become more than it may."""


def main(pack: Path, commit: str, folder: Path, path: str, max_files: int, max_file_bytes: int, max_bytes: int) -> int:
    store: Any = Repo.init_bare(str(folder / "repository"), mkdir=True).object_store
    with pack.open("rb") as file:
        store.add_thin_pack(file.read, None)
    found: Any = store[commit.encode()]
    while isinstance(found, Tag):
        found = store[found.object[1]]
    if not isinstance(found, Commit):
        return 1
    total = 0
    with (folder / LISTING).open("w", encoding="utf-8") as listing:
        for number, (name, sha) in enumerate(_files(store, found.tree, "", 0)):
            if path and name != path and not name.startswith(f"{path}/"):
                continue
            blob = store[sha]
            if not isinstance(blob, Blob):
                continue
            size = blob.raw_length()
            kept = 0 < size <= max_file_bytes
            total += size if kept else 0
            if number >= max_files or total > max_bytes:
                return TOO_MUCH
            if kept:
                (folder / sha.decode("ascii")).write_bytes(blob.as_raw_string())
            print(json.dumps([name, sha.decode("ascii"), size]), file=listing)
        print(json.dumps(found.id.decode("ascii")), file=listing)
    return 0


def _files(store: Any, tree: bytes, before: str, depth: int) -> Iterator[tuple[str, bytes]]:
    found = store[tree]
    if not isinstance(found, Tree) or depth > _DEEPEST:
        return
    for entry in found.iteritems():
        try:
            name = before + entry.path.decode("utf-8")
        except UnicodeDecodeError:
            continue
        if stat.S_ISDIR(entry.mode):
            yield from _files(store, entry.sha, f"{name}/", depth + 1)
        elif stat.S_ISREG(entry.mode):  # links and submodules have modes of their own
            yield name, entry.sha


def _limit(memory_bytes: int, seconds: int, max_bytes: int) -> None:
    for what, value in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 2 * max_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    die_with(given.pop("parent"))
    leave_network()
    _limit(given.pop("memory_bytes"), given.pop("seconds"), given["max_bytes"])
    sys.exit(main(Path(given.pop("pack")), folder=Path(given.pop("folder")), **given))
