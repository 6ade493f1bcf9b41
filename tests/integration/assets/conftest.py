"""A data folder and a Dagster instance, both fresh for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.fakes.nursery import Nursery
from tests.integration.assets.batch import Batch, QuickPlatform


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """Return the data folder that settings find in the environment, with a migrated database in it."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), home / "codexos.sqlite3")
    monkeypatch.setenv("CODEXOS_HOME", str(home))
    monkeypatch.setenv("CODEXOS_EMBEDDER", "hashed")
    monkeypatch.delenv("CODEXOS_DATABASE_URL", raising=False)
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    return home


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Yield where runs begin that are to be killed, without the seconds of Dagster's and LanceDB's imports."""
    imports = [f"tests.fakes.doomed_{work}" for work in ("run", "builder", "crawl")]
    nursery = Nursery(tmp_path_factory.mktemp("nursery") / "log", [*imports, "great_expectations"])
    yield nursery
    nursery.end()


@pytest.fixture
def batch(home: Path) -> Iterator[Batch]:
    """Yield a batch lane whose Dagster instance lives in memory: the same code, without 200 commits a run."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Batch(instance, QuickPlatform())


@pytest.fixture
def stored_batch(home: Path, tmp_path: Path) -> Iterator[Batch]:
    """Yield a batch lane whose Dagster instance keeps runs and events in SQLite, as `make up` does."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), overrides={"telemetry": {"enabled": False}}) as instance:
        yield Batch(instance, QuickPlatform())
