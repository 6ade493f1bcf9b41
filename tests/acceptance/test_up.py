"""`make up` from the outside: it starts, says what is wrong, keeps itself alive and leaves nothing behind."""

import os
import signal
import socket
import stat
import sys
from pathlib import Path

import httpx
import pytest

from tests.acceptance.system import READY_SECONDS, STOP_SECONDS, RunningSystem, free_ports, until

WORKSPACE = "{workspaceOrError {... on Workspace {locationEntries {name locationOrLoadError {__typename}}}}}"


def test_every_part_serves(running_system: RunningSystem) -> None:
    """/ready answers 200 and lists each part as ok."""
    answer = httpx.get(f"{running_system.url}/ready", timeout=5)
    assert answer.status_code == httpx.codes.OK, answer.text
    states = {name: part["status"] for name, part in answer.json()["parts"].items()}
    assert {"sql", "redis", "lance", "worker", "dagster"} <= states.keys()
    assert set(states.values()) == {"ok"}


def test_key_is_private_and_works(running_system: RunningSystem) -> None:
    """The key file is its owner's alone, its key opens the API, and the terminal shows it."""
    assert stat.S_IMODE(running_system.key_file.stat().st_mode) == 0o600
    with running_system.client() as client:
        assert client.get("/api/v1/rag/documents").status_code == httpx.codes.OK
    assert running_system.said(running_system.key_file.read_text().strip())


def test_dagster_has_loaded_the_assets(running_system: RunningSystem) -> None:
    """The UI's one code location is there without an error."""

    def locations() -> list[tuple[str, str]]:
        answer = httpx.post(f"{running_system.dagster_url}/graphql", json={"query": WORKSPACE}, timeout=30).json()
        entries = answer["data"]["workspaceOrError"]["locationEntries"]
        return [(entry["name"], (entry["locationOrLoadError"] or {}).get("__typename", "")) for entry in entries]

    until(lambda: locations() == [("codexos", "RepositoryLocation")], "Dagster has loaded the assets", 60)


def test_second_start_on_the_same_folder_is_refused(running_system: RunningSystem) -> None:
    """Two systems would corrupt one folder; the second says in one sentence where the first is."""
    second = running_system.run("up")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 1
    assert said.count("\n") == 1
    assert said.startswith("CodexOS: it runs already")
    assert running_system.url in said
    assert running_system.is_ready()


@pytest.mark.parametrize("variable", ["CODEXOS_HTTP_PORT", "CODEXOS_DAGSTER_PORT"])
def test_busy_port_is_one_sentence(running_system: RunningSystem, tmp_path: Path, variable: str) -> None:
    """The port and the variable that moves it are named, and nothing is started."""
    http_port, dagster_port = free_ports(2)
    settings = {"CODEXOS_HTTP_PORT": str(http_port), "CODEXOS_DAGSTER_PORT": str(dagster_port)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        refused = running_system.run("up", CODEXOS_HOME=str(tmp_path / "home"), **(settings | {variable: port}))
        said, _ = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert said == f"CodexOS: port {port} is in use by another program; set {variable} to another port.\n"
    assert not (tmp_path / "home" / "logs").exists()


def test_wrong_setting_is_one_sentence(running_system: RunningSystem) -> None:
    """A setting that cannot be read is named as the environment spells it."""
    refused = running_system.run("up", CODEXOS_HTTP_WORKERS="many")
    said, _ = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert said.startswith("CodexOS: a setting is wrong. CODEXOS_HTTP_WORKERS:")
    assert said.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="Finding a part by its command line needs /proc.")
@pytest.mark.parametrize("part", ["server worker", "server api", "valkey-server"])
def test_killed_part_comes_back(running_system: RunningSystem, part: str) -> None:
    """kill -9 of a part is said on the terminal, and soon every part serves again."""
    victim = min(pid for pid, command in running_system.processes().items() if part in command)
    said_before = len(running_system.terminal)
    os.kill(victim, signal.SIGKILL)
    name = {"valkey-server": "redis"}.get(part, part.split()[-1])

    def restarted() -> bool:
        return f"{name} was restarted." in running_system.terminal[said_before:]

    until(restarted, f"{name} is restarted", 30)
    assert any(line.startswith(f"{name} was ended by SIGKILL") for line in running_system.terminal[said_before:])
    until(running_system.is_ready, "every part serves again", READY_SECONDS)
    assert victim not in running_system.processes()


def test_interrupt_ends_everything_and_the_next_start_keeps_the_key(running_system: RunningSystem) -> None:
    """Ctrl-C leaves no process within ten seconds; starting again finds the same key and data."""
    key = running_system.key_file.read_text()
    status, seconds = running_system.interrupt()
    assert status == 0
    assert seconds < STOP_SECONDS
    assert running_system.processes() == {}
    assert not running_system.is_ready()

    running_system.start()
    assert running_system.key_file.read_text() == key
    with running_system.client() as client:
        assert client.get("/api/v1/rag/documents").status_code == httpx.codes.OK
