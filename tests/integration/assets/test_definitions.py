"""Dagster accepts the definitions, and loading them is cheap."""

import os
import subprocess
import sys
from pathlib import Path

from assets.rag.assets import RAG_ASSETS

ROOT = Path(__file__).parents[3]
SHOW_HEAVY_MODULES = """
import sys
import assets.definitions
heavy = {"lancedb", "onnxruntime", "unstructured", "great_expectations", "pandas", "tokenizers"}
print(sorted(heavy & set(sys.modules)))
"""


def test_backfill_gives_each_bucket_a_run_of_its_own() -> None:
    """Without a backfill policy a run has one partition by name; with one it has a range, and writes no table."""
    assert [asset.backfill_policy for asset in RAG_ASSETS] == [None] * 5


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    """`dagster definitions validate` passes with the workspace file of the repository."""
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Validation successful" in done.stdout + done.stderr


def test_loading_definitions_loads_nothing_heavy() -> None:
    """A code server that only lists assets loads no model runtime, no LanceDB, no Great Expectations."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW_HEAVY_MODULES], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
