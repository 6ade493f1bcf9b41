"""What `make test` promises of the suite itself."""

import shlex
import subprocess
from pathlib import Path

from tests.architecture.tree import ROOT

DYING = "import os\n\ndef test_dies():\n    os._exit(0)\n\ndef test_lives():\n    pass\n"


def test_a_process_of_tests_that_dies_fails_the_run(tmp_path: Path) -> None:
    """Though it says that it ended well: the test that it died of is named, and nothing counts as passed for it."""
    said = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    [command] = [shlex.split(line) for line in said.splitlines() if " pytest " in line]
    (tmp_path / "test_dying.py").write_text(DYING, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n", "utf-8")
    own = ["-c", str(tmp_path / "pytest.ini"), "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run([*command, *own], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "crashed while running 'test_dying.py::test_dies'" in done.stdout
    assert "crashed and worker restarting disabled" in done.stdout
