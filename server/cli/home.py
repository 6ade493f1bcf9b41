"""The data folder belongs to one running system at a time; what a killed one left is ended first."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from server.cli import process_cookie
from server.cli.refusal import Refusal

_LOCK = "up.lock"
_LEAST_FREE_BYTES = 300 * 1024 * 1024
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldHome:
    """The data folder, ours until the block of `hold` ends."""

    lock: IO[str]
    ended_leftovers: int

    def remember(self, *, cookie: str, url: str) -> None:
        """Note for the next start by what our processes are known, and for a second start where we answer."""
        self.lock.seek(0)
        self.lock.truncate()
        json.dump({"pid": os.getpid(), "cookie": cookie, "url": url}, self.lock)
        self.lock.flush()


@contextlib.contextmanager
def hold(home: Path) -> Iterator[HeldHome]:
    """Make the folder if need be and hold its lock. Raises Refusal if it cannot be used or is in use."""
    _make(home)
    with (home / _LOCK).open("a+") as lock:  # the file stays: removing it would let two starts lock two files
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _read(lock)
            raise Refusal(
                f"it runs already with the data in {home}, at {running.get('url', 'an unknown address')} "
                f"(process {running.get('pid', 'unknown')}); stop that one, or set CODEXOS_HOME to another folder."
            ) from None
        leftovers = process_cookie.end(_read(lock).get("cookie", ""), grace_seconds=_GRACE_SECONDS)
        yield HeldHome(lock=lock, ended_leftovers=leftovers)


def _make(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise Refusal(
            f"the data folder {home} cannot be used: {error.strerror}; "
            "mend that, or set CODEXOS_HOME to another folder."
        ) from None
    if free < _LEAST_FREE_BYTES:
        raise Refusal(
            f"the disk of the data folder {home} is full: {free // 1024**2} MB are free and "
            f"{_LEAST_FREE_BYTES // 1024**2} MB are needed; free some, or set CODEXOS_HOME to another disk."
        )


def _read(lock: IO[str]) -> dict[str, str]:
    lock.seek(0)
    with contextlib.suppress(ValueError):  # empty, or its writer was killed in the middle
        return dict(json.load(lock))
    return {}
