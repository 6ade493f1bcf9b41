"""The data folder serves one system at a time and says in a sentence why it cannot."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.cli import home, process_cookie
from server.cli.refusal import Refusal


def test_second_start_says_where_the_first_answers(tmp_path: Path) -> None:
    """Two systems on one folder would corrupt it; the second is refused and told of the first."""
    with home.hold(tmp_path) as held:
        held.remember(cookie="c", url="http://127.0.0.1:8000")
        with (
            pytest.raises(Refusal, match=r"it runs already .* at http://127.0.0.1:8000 \(process \d+\)"),
            home.hold(tmp_path),
        ):
            pass


def test_folder_is_free_again_after_the_block(tmp_path: Path) -> None:
    """The lock lasts as long as its holder, not as long as its file."""
    with home.hold(tmp_path):
        pass
    with home.hold(tmp_path) as held:
        assert held.ended_leftovers == 0


def test_leftovers_of_a_killed_start_are_ended(tmp_path: Path) -> None:
    """What carries the cookie that the last start noted is ended before anything new is started."""
    with home.hold(tmp_path) as held:
        held.remember(cookie="left-behind", url="")
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    with subprocess.Popen(command, env={process_cookie.VARIABLE: "left-behind"}) as leftover:
        with home.hold(tmp_path) as held:
            assert held.ended_leftovers == 1
        assert leftover.wait(timeout=5) != 0


def test_unusable_folder_is_one_sentence(tmp_path: Path) -> None:
    """A folder that cannot be made or written is named, with the variable to change."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(Refusal, match=r"cannot be used: Not a directory; .*CODEXOS_HOME"),
        home.hold(tmp_path / "file" / "data"),
    ):
        pass


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that will be full in minutes is refused before anything is half written."""
    usage = home.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(home.shutil, "disk_usage", lambda _path: usage._replace(free=5 * 1024**2))
    with pytest.raises(Refusal, match=r"is full: 5 MB are free and 300 MB are needed"), home.hold(tmp_path):
        pass
