"""Repositories are cloned from a git server on loopback, through the one way out."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import AddressBlocked, DocumentTooLarge, IngestFailed, SourceNotFound, SourceUnavailable
from pipelines.sources.github import GitHub
from pipelines.sources.repository_address import RepositoryAddress
from stores.egress import Allowance, Egress
from tests.fakes.git_server import GitServer, git_server
from tests.fakes.website import answer, redirect, website

FILES = {
    "README.md": b"# Cranes\n\nThey lift.\n",
    "docs/load.md": b"Four tonnes.\n",
    "docs/deep/er/reach.txt": b"Ten metres.\n",
    "logo.png": b"\x89PNG\r\n\x1a\n\0\0\0",
    "empty.txt": b"",
    "manual.pdf": b"%PDF-1.4\n\0 and so on",
    "docs/ünïcode name.md": b"Named by people.\n",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "git") as server:
        yield server


def github(server: GitServer, **more: int) -> GitHub:
    return GitHub(egress=Egress(allow=Allowance.of([server.place])), base_url=server.url, **more)


async def listed(server: GitServer, text: str, **more: int) -> dict[str, bytes]:
    """Return path and content of everything at an address."""
    async with github(server, **more).repository(RepositoryAddress.of(text)) as repository:
        items = (await repository.list(None)).items
        return {item.external_id: (await repository.fetch(item, {})).file.content for item in items}


async def test_files_come_with_the_hashes_git_gives_them(server: GitServer) -> None:
    """Everything readable is listed under a stable name, with git's own hash for a fingerprint, and a link to it."""
    commit = server.commit("acme/cranes", FILES)
    async with github(server).repository(RepositoryAddress.of("acme/cranes")) as repository:
        items = {item.external_id: item for item in (await repository.list(None)).items}
        assert sorted(items) == sorted(f"acme/cranes:{path}" for path in FILES if path not in ("logo.png", "empty.txt"))
        readme = items["acme/cranes:README.md"]
        content = FILES["README.md"]
        assert readme.fingerprint == hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()
        assert readme.uri == f"{server.url}/acme/cranes/blob/{commit}/README.md"
        assert (await repository.fetch(readme, {})).file.content == content
        assert (repository.commit, repository.skipped) == (commit, 2)


async def test_a_ref_is_a_branch_a_tag_or_a_commit(server: GitServer) -> None:
    """Each shows the tree as it is there, and history is not brought along."""
    first = server.commit("acme/cranes", {"a.md": b"first"})
    server.tag("acme/cranes", "v1.0", first)
    server.commit("acme/cranes", {"a.md": b"second"})
    server.commit("acme/cranes", {"a.md": b"other"}, branch="feature/reach")
    assert await listed(server, "acme/cranes") == {"acme/cranes:a.md": b"second"}
    assert await listed(server, "acme/cranes@v1.0") == {"acme/cranes:a.md": b"first"}
    assert await listed(server, "acme/cranes@feature/reach") == {"acme/cranes:a.md": b"other"}
    with pytest.raises(SourceNotFound, match="no branch, tag or commit v9"):
        await listed(server, "acme/cranes@v9")


async def test_a_path_is_a_folder_or_a_file(server: GitServer) -> None:
    """Only what lies there comes; a name that only begins like it does not."""
    server.commit("acme/cranes", {**FILES, "docs2/no.md": b"no"})
    assert sorted(await listed(server, "acme/cranes:docs")) == [
        "acme/cranes:docs/deep/er/reach.txt",
        "acme/cranes:docs/load.md",
        "acme/cranes:docs/ünïcode name.md",
    ]
    assert list(await listed(server, "acme/cranes@main:README.md")) == ["acme/cranes:README.md"]
    with pytest.raises(SourceNotFound, match="no files at"):
        await listed(server, "acme/cranes:nowhere")


async def test_links_and_submodules_are_left_out(server: GitServer) -> None:
    """A link to a file of this machine, or to another repository, brings nothing."""
    server.commit(
        "acme/cranes",
        {"a.md": b"text", ".gitmodules": b'[submodule "x"]\n\tpath = x\n\turl = http://127.0.0.1:1/x\n'},
        links={"passwd": b"/etc/passwd", "up": b"../../.."},
        submodules={"x": "1" * 40},
    )
    assert sorted(await listed(server, "acme/cranes")) == ["acme/cranes:.gitmodules", "acme/cranes:a.md"]


async def test_names_in_a_repository_are_never_names_on_this_disk(server: GitServer, tmp_path: Path) -> None:
    """A tree with names that lead elsewhere writes nothing there: what is unpacked is named by its hash."""
    server.commit("acme/evil", {"..": b"up", ".git": b"config", "a\nb.md": b"odd"})
    found = await listed(server, "acme/evil")
    assert found["acme/evil:a\nb.md"] == b"odd"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["git"]


async def test_what_is_too_much_is_said_so(server: GitServer) -> None:
    """By files, by bytes of the pack and by bytes unpacked; a bomb in a pack unpacks in a process of its own."""
    server.commit("acme/many", {f"{number}.md": b"%d" % number for number in range(20)})
    server.commit("acme/bomb", {"bomb.txt": b"0" * 30_000_000})
    with pytest.raises(DocumentTooLarge):
        await listed(server, "acme/many", max_files=10)
    with pytest.raises(DocumentTooLarge):
        await listed(server, "acme/many", max_pack_bytes=200)
    with pytest.raises(IngestFailed):
        await listed(server, "acme/bomb", max_bytes=10_000_000)
    with pytest.raises(SourceNotFound):  # the one file is longer than files may be: nothing is left
        await listed(server, "acme/bomb:nothing", max_file_bytes=1_000_000)


async def test_what_is_not_there_is_said_so(server: GitServer) -> None:
    """A repository that is missing, a server that is none, and one that needs a login."""
    with pytest.raises(SourceNotFound):
        await listed(server, "acme/nothing")
    async with website() as site:
        hub = GitHub(egress=Egress(allow=Allowance.of([site.place])), base_url=site.url)
        site.pages["/a/b.git/info/refs?service=git-upload-pack"] = answer(
            "<html>hello</html>", content_type="text/html"
        )
        with pytest.raises(SourceUnavailable):
            async with hub.repository(RepositoryAddress.of("a/b")):
                pass


async def test_a_server_cannot_send_the_clone_elsewhere() -> None:
    """The repository's server is as untrusted as any site: its redirects are checked, and a pack's request has none."""
    async with website() as canary, website() as site:
        hub = GitHub(egress=Egress(allow=Allowance.of([site.place])), base_url=site.url)
        refs = "/info/refs?service=git-upload-pack"
        for target in (
            f"{canary.url}/a/b.git{refs}",
            f"http://[::1]:{canary.port}{refs}",
            f"http://0x7f.1:{canary.port}{refs}",
        ):
            site.pages[f"/a/b.git{refs}"] = redirect(target)
            with pytest.raises(AddressBlocked):
                async with hub.repository(RepositoryAddress.of("a/b")):
                    pass
        assert canary.connections == 0
