"""The published document against the running system: what it allows is answered, what it forbids is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.system import ROOT, RunningSystem

SEED = 20261123
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize(("examples", "cases"), [(110, 2_000), pytest.param(1_200, 20_000, marks=pytest.mark.slow)])
def test_no_generated_request_finds_a_fault(
    running_system: RunningSystem, tmp_path: Path, examples: int, cases: int
) -> None:
    """All checks of the fuzzer and the envelope: no failure, no 5xx, over that many cases at least."""
    report = fuzzed(running_system, tmp_path, examples)
    assert (report["failures"], report["errors"], report["complete"]) == ([], [], True)
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] >= cases


def fuzzed(system: RunningSystem, folder: Path, examples: int) -> dict[str, Any]:
    """Run the fuzzer; return its report. What it printed is shown when a test fails."""
    key = system.key_file.read_text().strip()
    written = folder / "report.json"
    command = [
        str(Path(sys.executable).with_name("st")),
        f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
        f"--config-file={CONFIGURATION}",
        "run",
        f"{system.url}/openapi.json",
        "--checks=all",
        f"--header=Authorization: Bearer {key}",
        f"--max-examples={examples}",
        f"--seed={SEED}",
        "--continue-on-failure",
        "--no-color",
        "--report=json",
        f"--report-json-path={written}",
    ]
    with system.client() as client:
        me = client.get("/api/v1/auth/me").json()
    own = f"{me['subject'].partition(':')[2]} {me['tenant_id']}"
    hooks = {"FUZZ_OWN_IDS": own, "SCHEMATHESIS_HOOKS": "tests.acceptance.fuzz_hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=os.environ | hooks, capture_output=True, text=True, check=False)
    assert written.exists(), done.stdout[-4000:] + done.stderr[-2000:]
    print(done.stdout)
    report: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return report
