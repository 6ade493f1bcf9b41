"""The dispatcher as `make up` starts it, to be killed and started again."""

import os
import signal
import subprocess
import sys
from pathlib import Path


class DispatcherProcess:
    """`python -m server dispatcher` over the stores of `home`; it may speak to loopback."""

    def __init__(self, home: Path, database_url: str, redis_url: str, **settings: str) -> None:
        self.log = home / "dispatcher.log"
        self._environment = os.environ | {
            "CODEXOS_HOME": str(home),
            "CODEXOS_DATABASE_URL": database_url,
            "CODEXOS_REDIS_URL": redis_url,
            "CODEXOS_EGRESS_ALLOW": "127.0.0.0/8",
            "CODEXOS_WEBHOOK_TIMEOUT_SECONDS": "2",
            "CODEXOS_WEBHOOK_LEASE_SECONDS": "3",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server", "dispatcher"], env=self._environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """kill -9: nothing is finished, nothing is said."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            assert self._process.poll() is None, self.log.read_text("utf-8")[-3000:]
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None
