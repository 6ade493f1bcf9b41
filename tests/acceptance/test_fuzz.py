"""The published document against the running system: what it allows is answered, what it forbids is refused."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from server.app.application import operations
from server.app.versions import adapted
from server.openapi.document import document
from server.openapi.versions import DEPRECATED
from tests.acceptance.system import ROOT, RunningSystem

SEED = 20261123
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# So many examples an operation in CI; filters nest once up to `QUICK_AT_MOST`.
QUICK_EXAMPLES, QUICK_AT_MOST = 6, 20


# What ends the session that the fuzzer speaks in has tests of its own.
PERSONS = ["--include-tag=auth", "--include-tag=mfa", "--include-tag=tenants", "--exclude-operation-id=log_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """In whose name the fuzzer asks, and the ids that must outlive it."""

    credential: str
    own_ids: list[str]


@pytest.mark.parametrize(
    ("examples", "cases"), [(QUICK_EXAMPLES, 2_000), pytest.param(60, 20_000, marks=pytest.mark.slow)]
)
def test_no_request_of_a_key_finds_a_fault(
    running_system: RunningSystem, tmp_path: Path, examples: int, cases: int
) -> None:
    """All checks of the fuzzer and the envelope: no failure, no 5xx, over that many cases at least."""
    with running_system.client() as client:
        me = client.get("/api/v1/auth/me").json()
    own_ids = [me["subject"].partition(":")[2], me["tenant_id"]]
    speaker = Speaker(credential=running_system.key_file.read_text().strip(), own_ids=own_ids)
    report = fuzzed(running_system, speaker, tmp_path, examples)
    assert (report["failures"], report["errors"], report["complete"]) == ([], [], True)
    assert report["operations"]["tested"] == report["operations"]["total"]
    assert report["test_cases"]["generated"] >= cases


@pytest.mark.parametrize(
    ("examples", "cases"), [(QUICK_EXAMPLES, 1_000), pytest.param(60, 2_000, marks=pytest.mark.slow)]
)
def test_no_request_of_a_person_finds_a_fault(
    running_system: RunningSystem, tmp_path: Path, examples: int, cases: int
) -> None:
    """What keys may not do, done in a session."""
    report = fuzzed(running_system, person(running_system), tmp_path, examples, *PERSONS)
    assert (report["failures"], report["errors"], report["complete"]) == ([], [], True)
    assert report["operations"]["tested"] == report["operations"]["selected"] > 10
    assert report["test_cases"]["generated"] >= cases


@pytest.mark.parametrize(("examples", "cases"), [(20, 20), pytest.param(300, 300, marks=pytest.mark.slow)])
def test_no_request_to_a_deprecated_version_finds_a_fault(
    running_system: RunningSystem, tmp_path: Path, examples: int, cases: int
) -> None:
    """Its adapter answers what the successors' document says. Their bodies are covered there, field by field."""
    [version] = DEPRECATED
    published = tmp_path / "deprecated.json"
    deprecated = adapted(operations(), version).values()
    published.write_text(json.dumps(document(deprecated, title="deprecated", version=version.name)), "utf-8")
    speaker = Speaker(credential=running_system.key_file.read_text().strip(), own_ids=[])
    phases = "--phases=examples,fuzzing"
    report = fuzzed(running_system, speaker, tmp_path, examples, phases, schema=str(published))
    assert (report["failures"], report["errors"], report["complete"]) == ([], [], True)
    assert report["operations"]["tested"] == report["operations"]["total"] == len(deprecated)
    assert report["test_cases"]["generated"] >= cases


def person(system: RunningSystem) -> Speaker:
    """Register somebody and log in."""
    account = {"email": f"{uuid4().hex}@example.com", "password": "a long sentence of your own"}
    with system.client() as client:
        client.post("/api/v1/auth/register", json={**account, "name": "Ada"}).raise_for_status()
        pair = client.post("/api/v1/auth/token", json=account).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {pair['access_token']}"
        me = client.get("/api/v1/auth/me").json()
        [session] = client.get("/api/v1/auth/sessions").json()["items"]
    return Speaker(
        credential=pair["access_token"],
        own_ids=[me["subject"].partition(":")[2], me["tenant_id"], session["id"]],
    )


def fuzzed(
    system: RunningSystem, speaker: Speaker, folder: Path, examples: int, *chosen: str, schema: str | None = None
) -> dict[str, Any]:
    """Run the fuzzer, by the document that the system publishes or by the file `schema`; return its report.

    What it printed is shown when a test fails.

    A quick run nests filters once. As deep as they are published, they are nine tenths of all cases.
    """
    written = folder / "report.json"
    command = [
        str(Path(sys.executable).with_name("st")),
        f"--config-file={CONFIGURATION}",
        "run",
        schema or f"{system.url}/openapi.json",
        f"--url={system.url}",
        "--checks=all",
        f"--header=Authorization: Bearer {speaker.credential}",
        f"--max-examples={examples}",
        f"--seed={SEED}",
        "--continue-on-failure",
        "--no-color",
        "--report=json",
        f"--report-json-path={written}",
        *chosen,
    ]
    hooks = {
        "FUZZ_OWN_IDS": " ".join(speaker.own_ids),
        "SCHEMATHESIS_HOOKS": "tests.acceptance.fuzz_hooks",
        "PYTHONPATH": str(ROOT),
        **({"FUZZ_FILTER_LEVELS": "1"} if examples <= QUICK_AT_MOST else {}),
    }
    done = subprocess.run(command, cwd=folder, env=os.environ | hooks, capture_output=True, text=True, check=False)
    assert written.exists(), done.stdout[-4000:] + done.stderr[-2000:]
    print(done.stdout)
    report: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return report
