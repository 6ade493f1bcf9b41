"""The root key is made once, kept private, and never guessed at."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vault.root_keys import RootKeyFile, RootKeyUnusable, changing, put_aside, read_root_keys, write_root_keys


def test_a_root_key_is_made_once(tmp_path: Path) -> None:
    """The second start reads what the first has written, and only its owner can read it."""
    file = tmp_path / "home" / "root-key"
    [key] = read_root_keys(file, make=True)
    assert (read_root_keys(file, make=True), len(key), file.stat().st_mode & 0o777) == ((key,), 32, 0o600)
    assert read_root_keys(tmp_path / "other", make=True) != (key,)


def test_those_who_start_together_agree(tmp_path: Path) -> None:
    """Servers that all find no key end up with the same one: the file system decides, whoever asks it."""
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: read_root_keys(tmp_path / "root-key", make=True), range(64)))
    assert len(set(keys)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["root-key"]


def test_production_makes_no_key(tmp_path: Path) -> None:
    """A missing root key stops the start: a new one would make all that is sealed unreadable."""
    with pytest.raises(RootKeyUnusable, match="no root key"):
        read_root_keys(tmp_path / "root-key", make=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "\n", "abc", "zz" * 32, "00" * 31, "00" * 33, "é", "00" * 32 + "\n\n" + "11" * 32]
)
def test_a_damaged_key_is_refused(tmp_path: Path, text: str) -> None:
    """What is not 32 bytes in hex is refused, and left as it is."""
    file = tmp_path / "root-key"
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    with pytest.raises(RootKeyUnusable):
        read_root_keys(file, make=True)
    assert file.read_text("utf-8") == text


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """The sentence says which command mends it."""
    file = tmp_path / "root-key"
    read_root_keys(file, make=True)
    file.chmod(0o640)
    with pytest.raises(RootKeyUnusable, match="chmod 600"):
        read_root_keys(file, make=False)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    """Once, by whoever looks; the key that seals stands first, and each is there once."""
    path, old, new = tmp_path / "root-key", bytes(32), bytes(31) + b"\x01"
    write_root_keys(path, [old])
    file = RootKeyFile(path)
    assert file.read(make=False) == (old,)
    assert file.changed() is None
    write_root_keys(path, [new, old, new])
    assert file.changed() == (new, old)
    assert file.changed() is None
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.chmod(0o644), lambda path: path.write_text("x")])
def test_a_file_that_is_spoiled_stops_nobody_who_runs(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """Gone, damaged or readable by others: whoever has read it goes on, nobody starts, and once mended it counts."""
    path = tmp_path / "root-key"
    file = RootKeyFile(path)
    keys = file.read(make=True)
    spoil(path)
    assert file.changed() is None
    with pytest.raises(RootKeyUnusable):
        read_root_keys(path, make=False)
    write_root_keys(path, [bytes(32), *keys])
    assert file.changed() == (bytes(32), *keys)


def test_a_writer_who_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """What they had begun to write is never read, and the next one writes over it."""
    path = tmp_path / "root-key"
    (tmp_path / "root-key.new").write_text("00" * 10)
    write_root_keys(path, [bytes(32)])
    assert read_root_keys(path, make=False) == (bytes(32),)
    assert [file.name for file in tmp_path.iterdir()] == ["root-key"]


def test_two_do_not_change_the_file_at_once(tmp_path: Path) -> None:
    """The second is told so, and may when the first is done."""
    path = tmp_path / "root-key"
    with changing(path), pytest.raises(RootKeyUnusable, match="Somebody else"), changing(path):
        pass
    with changing(path):
        pass


def test_keys_out_of_use_are_put_aside(tmp_path: Path) -> None:
    """Each once, newest first, in a file that only its owner reads."""
    path = tmp_path / "root-key"
    keys = [bytes([number]) * 32 for number in range(3)]
    put_aside(path, keys[:1])
    put_aside(path, keys[:1])
    aside = put_aside(path, keys[1:])
    assert read_root_keys(aside, make=False) == (keys[1], keys[2], keys[0])


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A sentence, and the file is as it was."""
    path = tmp_path / "root-key"
    write_root_keys(path, [bytes(32)])
    (tmp_path / "root-key.new").mkdir()  # stands for any file system that refuses; root may write everywhere else
    with pytest.raises(RootKeyUnusable, match="cannot be written"):
        write_root_keys(path, [bytes([1]) * 32])
    assert read_root_keys(path, make=False) == (bytes(32),)
