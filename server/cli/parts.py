"""The processes that make up the running system, and the files that Dagster's want to find."""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

from core.settings import Settings
from server.cli.supervisor import Part

# Set for every child: no part reports to its vendor, and idle threads sleep instead of spinning.
QUIET = {
    "DO_NOT_TRACK": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
}

# Dagster's UI asks nobody who they are, so it is never offered to the network.
DAGSTER_HOST = "127.0.0.1"

_CODE_LOCATION = "codexos"


def environment(settings: Settings) -> dict[str, str]:
    """Return what every child finds in its environment."""
    return {
        **os.environ,
        **QUIET,
        "CODEXOS_HOME": str(settings.home),
        "DAGSTER_HOME": str(settings.dagster_path),
    }


def redis(settings: Settings) -> Part:
    """Return the embedded Redis; everything else may need it, so it starts first and stops last."""
    from stores import embedded_redis

    data = settings.home / "redis"
    data.mkdir(parents=True, exist_ok=True)
    return Part(name="redis", wave=0, command=embedded_redis.command(socket=settings.redis_socket, data=data))


def lanes() -> list[Part]:
    """Return what answers requests, works on documents as they come, tells others of it, and runs flows."""
    names = ("api", "worker", "dispatcher", "agents")
    return [Part(name=name, wave=2, command=(sys.executable, "-m", "server", name)) for name in names]


def dagster(settings: Settings, root: Path) -> list[Part]:
    """Return Dagster's processes: one code server, asked by both the web server and the daemon."""
    socket = _code_server_socket(settings)
    workspace = ("--workspace", str(settings.dagster_path / "workspace.yaml"))
    _prepare_home(settings, root, socket)
    code = ("--module-name", "assets.definitions", "--working-directory", str(root), "--location-name", _CODE_LOCATION)
    address = ("--host", DAGSTER_HOST, "--port", str(settings.dagster_port))
    commands = {
        "dagster-code": ("dagster", "api", "grpc", "--socket", str(socket), "--lazy-load-user-code", *code),
        "dagster-webserver": ("dagster_webserver", *address, *workspace),
        "dagster-daemon": ("dagster._daemon", "run", *workspace),
    }
    return [
        _dagster_part(name, *command, wave=1 if name == "dagster-code" else 2) for name, command in commands.items()
    ]


def dagster_storage(settings: Settings) -> Part | None:
    """Return what brings Dagster's storage to the installed release, None if it is there.

    It must have ended before Dagster's processes start: each would make the missing storage, all at once.
    """
    if _storage_marker(settings).exists():
        return None
    return _dagster_part("dagster-storage", "dagster", "instance", "migrate", wave=1)


def note_dagster_storage(settings: Settings) -> None:
    _storage_marker(settings).touch()


def _storage_marker(settings: Settings) -> Path:
    return settings.dagster_path / f"storage-of-{importlib.metadata.version('dagster')}"


def _dagster_part(name: str, *command: str, wave: int) -> Part:
    # Batch work waits for answers to requests, not the other way round.
    return Part(name=name, command=(sys.executable, "-m", *command), wave=wave, niceness=5)


def _code_server_socket(settings: Settings) -> Path:
    # Beside the other socket, whose folder is chosen for its short path, and under no longer a name there.
    redis = settings.redis_socket
    return redis.with_name("code.sock" if redis.parent == settings.home else f"code-{redis.name}")


def _prepare_home(settings: Settings, root: Path, socket: Path) -> None:
    settings.dagster_path.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / "dagster_home" / "dagster.yaml", settings.dagster_path / "dagster.yaml")
    workspace = f"load_from:\n  - grpc_server:\n      socket: {socket}\n      location_name: {_CODE_LOCATION}\n"
    (settings.dagster_path / "workspace.yaml").write_text(workspace, "utf-8")
