"""The API process stays light: parsers, Dagster and Great Expectations cost half a gigabyte and seconds of import."""

import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT

HEAVY = (
    "unstructured",
    "spacy",
    "dagster",
    "great_expectations",
    "polars",
    "onnx",
    "lance_namespace_urllib3_client.api",
)
REPORT = "import sys, {module}; print(*sorted(set({heavy!r}) & set(sys.modules)))"


def heavy_modules_after_importing(module: str) -> list[str]:
    report = REPORT.format(module=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("module", ["server.app.application", "server.wiring"])
def test_api_process_imports_nothing_heavy(module: str) -> None:
    """Importing the API brings in no parser, no orchestrator and no checker."""
    assert heavy_modules_after_importing(module) == []


def test_supervisor_imports_neither_the_api_nor_the_stores() -> None:
    """The process that must outlive the others holds as little as it can."""
    report = REPORT.format(module="server.cli.supervisor", heavy=("sanic", "sqlalchemy", "lancedb", "numpy"))
    done = subprocess.run([sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == ([], "")
