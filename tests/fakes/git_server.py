"""A git server on loopback, dulwich's own, with repositories made for a test."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from dulwich.objects import Blob, Commit, Tag, Tree
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import HTTPGitApplication

_WHO = b"Somebody <somebody@example.org>"
FILE, LINK, SUBMODULE = 0o100644, 0o120000, 0o160000


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests have enough to say."""


@dataclass(slots=True)
class GitServer:
    folder: Path
    port: int = 0
    repositories: dict[str, Repo] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def commit(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        branch: str = "main",
        links: Mapping[str, bytes] | None = None,
        submodules: Mapping[str, str] | None = None,
    ) -> str:
        """Commit exactly `files` to `branch` of a repository, made if it is not there; return the commit."""
        repo = self.repositories.get(f"/{name}.git")
        if repo is None:
            repo = Repo.init_bare(str(self.folder / name.replace("/", "+")), mkdir=True)
            repo.refs.set_symbolic_ref(b"HEAD", f"refs/heads/{branch}".encode())
            self.repositories[f"/{name}.git"] = repo
        entries = {path: (FILE, _blob(repo, content)) for path, content in files.items()}
        entries |= {path: (LINK, _blob(repo, target)) for path, target in (links or {}).items()}
        entries |= {path: (SUBMODULE, sha.encode()) for path, sha in (submodules or {}).items()}
        commit = Commit()
        commit.tree = _tree(repo, entries)
        commit.author = commit.committer = _WHO
        commit.author_time = commit.commit_time = 1_790_000_000
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = b"Something"
        ref = f"refs/heads/{branch}".encode()
        commit.parents = [repo.refs[ref]] if ref in repo.refs else []
        repo.object_store.add_object(commit)
        repo.refs[ref] = commit.id
        return commit.id.decode()

    def tag(self, name: str, tag: str, commit: str) -> None:
        """Tag a commit, with an object of the tag's own."""
        repo = self.repositories[f"/{name}.git"]
        made = Tag()
        made.tagger, made.message, made.name = _WHO, b"A release", tag.encode()
        made.tag_time, made.tag_timezone = 1_790_000_000, 0
        made.object = (Commit, commit.encode())
        repo.object_store.add_object(made)
        repo.refs[f"refs/tags/{tag}".encode()] = made.id


def _blob(repo: Repo, content: bytes) -> bytes:
    blob = Blob.from_string(content)
    repo.object_store.add_object(blob)
    return blob.id


def _tree(repo: Repo, entries: Mapping[str, tuple[int, bytes]]) -> bytes:
    tree = Tree()
    folders: dict[str, dict[str, tuple[int, bytes]]] = {}
    for path, (mode, sha) in entries.items():
        folder, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(folder, {})[rest] = (mode, sha)
        else:
            tree.add(path.encode(), mode, sha)
    for folder, inner in folders.items():
        tree.add(folder.encode(), 0o040000, _tree(repo, inner))
    repo.object_store.add_object(tree)
    return tree.id


@contextmanager
def git_server(folder: Path) -> Iterator[GitServer]:
    """Serve on a free port for the length of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = GitServer(folder)
    with make_server(
        "127.0.0.1", 0, HTTPGitApplication(DictBackend(server.repositories)), handler_class=_Silent
    ) as listening:
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join(10)
