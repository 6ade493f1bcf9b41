"""The whole system as a person starts it: `python -m server up`, its terminal and its processes."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from server.cli import process_cookie

ROOT = Path(__file__).resolve().parents[2]
# Starting takes seconds on an idle machine; a busy one may need minutes.
READY_SECONDS = 240.0
STOP_SECONDS = 10.0


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens on just now: none that another process of tests may choose before they are taken,
    nor one that the kernel may lend to a connection (those begin at 32768)."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 12_000 + process % 10 * 2_000
    ports: list[int] = []
    for port in random.sample(range(first, first + 2_000), 2_000):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError(f"Nobody else should hold all ports from {first} to {first + 1_999}.")


def until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"within {seconds:.0f} s: {what}"
        time.sleep(0.05)


class RunningSystem:
    """One data folder and its ports; started, stopped and started again. Embedded parts throughout."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.http_port, self.dagster_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.dagster_url = f"http://127.0.0.1:{self.dagster_port}"
        self.terminal: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CODEXOS_", "DAGSTER_"))}
        return {
            **inherited,
            "CODEXOS_HOME": str(self.home),
            "CODEXOS_HTTP_PORT": str(self.http_port),
            "CODEXOS_DAGSTER_PORT": str(self.dagster_port),
            # Empty rather than absent: a developer's .env must not point the tests at a database in use.
            "CODEXOS_DATABASE_URL": "",
            "CODEXOS_REDIS_URL": "",
            "DEMO": "0",
            # Many tests ask in the name of one key, faster than any person; limits have tests of their own.
            "CODEXOS_EGRESS_ALLOW": "127.0.0.1:9",  # nobody listens there
            "CODEXOS_RATE_LIMIT_AUTHENTICATED_PER_MINUTE": "1000000",
            "CODEXOS_RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "1000000",
        }

    @property
    def key_file(self) -> Path:
        return self.home / "dev-api-key"

    def client(self) -> httpx.Client:
        """Return a client that speaks for the development tenant; paths begin with /api/v1."""
        headers = {"Authorization": f"Bearer {self.key_file.read_text().strip()}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def start(self) -> float:
        """Start the system, wait until it is ready, and return how many seconds that took."""
        began = time.monotonic()
        self.terminal.clear()
        self._process = self.run("up")
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        until(lambda: self.said("CodexOS is ready") or self._ended(), "the system is ready", READY_SECONDS)
        assert not self._ended(), "\n".join(self.terminal)
        return time.monotonic() - began

    def run(self, command: str, **environment: str) -> "subprocess.Popen[str]":
        """Start `python -m server <command>` with this system's settings."""
        return subprocess.Popen(
            [sys.executable, "-m", "server", command],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.terminal.append(line.rstrip("\n"))

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def said(self, words: str) -> bool:
        """Whether a line on the terminal contains `words`."""
        return any(words in line for line in self.terminal)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def processes(self) -> dict[int, str]:
        """Return the command lines of all children, and of their children, by process id."""
        cookie = json.loads((self.home / "up.lock").read_text())["cookie"]
        return {pid: _command_line(pid) for pid in process_cookie.carriers(cookie)}

    def interrupt(self) -> tuple[int, float]:
        """Press Ctrl-C; return the exit status and how many seconds stopping took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(timeout=30)
        return status, time.monotonic() - began

    def abandon(self) -> None:
        """End whatever still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""  # it has just ended, or this system has no /proc
