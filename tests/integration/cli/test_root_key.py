"""A production installation without its root key says so, and starts nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(command: str, home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"CODEXOS_HOME": str(home), "CODEXOS_ENVIRONMENT": "production"} | settings
    return subprocess.run(
        [sys.executable, "-m", "server", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", ["api", "up"])
def test_a_missing_root_key_is_one_sentence(command: str, tmp_path: Path) -> None:
    """It names the file, and no new key is made that would orphan what the lost one sealed."""
    done = run(command, tmp_path, CODEXOS_HTTP_PORT="1", CODEXOS_REDIS_URL=f"unix://{tmp_path}/none.sock")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"CodexOS: There is no root key at {tmp_path / 'root-key'}.")
    assert not (tmp_path / "root-key").exists()
