"""How repositories are named."""

import pytest

from core.errors import SourceNotFound
from pipelines.sources.repository_address import RepositoryAddress


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("acme/cranes", ("acme", "cranes", None, "")),
        ("acme/cranes.git", ("acme", "cranes", None, "")),
        ("a/b@v1.0", ("a", "b", "v1.0", "")),
        ("a/b@feature/x:docs/guide", ("a", "b", "feature/x", "docs/guide")),
        ("a/b:docs/", ("a", "b", None, "docs")),
        ("a/.b", None),
        ("a/_b", ("a", "_b", None, "")),
    ],
)
def test_parts_are_read(text: str, parts: tuple[str, str, str | None, str] | None) -> None:
    """Owner, name, ref and path; a name begins with a letter, a digit or an underscore."""
    if parts is None:
        with pytest.raises(SourceNotFound):
            RepositoryAddress.of(text)
        return
    found = RepositoryAddress.of(text)
    assert (found.owner, found.name, found.ref, found.path) == parts


@pytest.mark.parametrize(
    "text",
    ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b@", "a/b@--upload-pack=x", "a/b@-x", "-a/b", "a/-b", "a/b:../x",
     "a/b:/etc", "a/b@x..y", "https://h/a/b", "a@h/b", "a/b?x", "a/b#x", "a/b%2f", "a\\b/c", "a/b:x\ny", "a/b\n", "ä/b",
     "127.0.0.1:80/b", "[::1]/b", "user:pw@h/a/b", "a/b:x:y"],
)  # fmt: skip
def test_what_is_no_repository_is_refused(text: str) -> None:
    """Nothing that could be an option, another host or another folder gets as far as a request."""
    with pytest.raises(SourceNotFound):
        RepositoryAddress.of(text)
