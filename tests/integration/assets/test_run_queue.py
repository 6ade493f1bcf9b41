"""The instance of `make up`: two runs at a time, and none of the dead among them."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.run_coordinator import QueuedRunCoordinator

from assets.definitions import defs
from assets.run_launcher import HealthCheckedRunLauncher

ROOT = Path(__file__).parents[3]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance that is configured as the running system's is."""
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    shutil.copyfile(ROOT / "dagster_home" / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def code_server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Yield a code server that listens."""
    socket = tmp_path / "code.sock"
    serve = ("api", "grpc", "--socket", str(socket), "--lazy-load-user-code", "--module-name", "assets.definitions")
    server = subprocess.Popen([sys.executable, "-m", "dagster", *serve], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not socket.exists():
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield server, socket
    finally:
        server.kill()
        server.wait()


def started_run(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    job = defs.resolve_job_def("index_documents")
    return instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)


def test_two_runs_at_a_time_and_a_short_wait(instance: dg.DagsterInstance) -> None:
    """A backfill's sixteen runs queue up for two places, which are filled a second after they get free."""
    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.dequeue_interval_seconds == 1
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 2


def test_run_that_no_code_server_knows_is_dead(
    instance: dg.DagsterInstance, code_server: tuple[subprocess.Popen[bytes], Path]
) -> None:
    """What was killed with its code server is found out; while the server is away nobody is declared dead."""
    launcher = instance.run_launcher
    assert isinstance(launcher, HealthCheckedRunLauncher)
    assert launcher.supports_check_run_worker_health
    never_handed_over = started_run(instance)
    assert launcher.check_run_worker_health(never_handed_over).status is WorkerStatus.NOT_FOUND

    server, socket = code_server
    run = started_run(instance, **{".dagster/grpc_info": json.dumps({"host": "localhost", "socket": str(socket)})})
    assert launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND
    server.kill()
    server.wait()
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
