"""The root key is made once, kept private, and never guessed at."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vault.keys import RootKeyUnusable, new_signing_key_pair, read_root_key


def test_a_root_key_is_made_once(tmp_path: Path) -> None:
    """The second start reads what the first has written, and only its owner can read it."""
    file = tmp_path / "home" / "root-key"
    key = read_root_key(file, make=True)
    assert (read_root_key(file, make=True), len(key), file.stat().st_mode & 0o777) == (key, 32, 0o600)
    assert read_root_key(tmp_path / "other", make=True) != key


def test_those_who_start_together_agree(tmp_path: Path) -> None:
    """Servers that all find no key end up with the same one: the file system decides, whoever asks it."""
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: read_root_key(tmp_path / "root-key", make=True), range(64)))
    assert len(set(keys)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["root-key"]


def test_production_makes_no_key(tmp_path: Path) -> None:
    """A missing root key stops the start: a new one would make all that is sealed unreadable."""
    with pytest.raises(RootKeyUnusable, match="no root key"):
        read_root_key(tmp_path / "root-key", make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "00" * 31, "00" * 33, "é"])
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    """What is not 32 bytes in hex is refused, and left as it is."""
    file = tmp_path / "root-key"
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    with pytest.raises(RootKeyUnusable):
        read_root_key(file, make=True)
    assert file.read_text("utf-8") == text


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The sentence says which command mends it."""
    file = tmp_path / "root-key"
    read_root_key(file, make=True)
    file.chmod(0o640)
    with pytest.raises(RootKeyUnusable, match="chmod 600"):
        read_root_key(file, make=False)


def test_signing_pairs_are_all_different() -> None:
    """Each pair is new, and its halves are 32 bytes in base64url."""
    pairs = [new_signing_key_pair() for _ in range(20)]
    halves = {half for pair in pairs for half in (pair.public, pair.private)}
    assert (len(halves), {len(half) for half in halves}) == (40, {43})
