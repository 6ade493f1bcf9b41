"""Recognise the processes that one supervisor began, and their children, by a cookie in their environment.

A process id alone proves nothing: it may belong to somebody else by now. The environment a process was
started with stays with it and passes to whatever it starts, also into other sessions.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

VARIABLE = "CODEXOS_SUPERVISED_BY"
_POLL_SECONDS = 0.05


def carriers(cookie: str) -> set[int]:
    """Return the ids of all other live processes of this user that carry `cookie`."""
    found = _carriers_in_proc(cookie) if Path("/proc/self/environ").exists() else _carriers_by_ps(cookie)
    return found - {os.getpid()}


def _carriers_in_proc(cookie: str) -> set[int]:
    wanted = f"{VARIABLE}={cookie}".encode()
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or it is another user's
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.add(int(process.name))
    return found


def _carriers_by_ps(cookie: str) -> set[int]:
    listing = subprocess.run(["ps", "axeww", "-o", "pid=,command="], capture_output=True, text=True, check=False)
    lines = (line.split(maxsplit=1) for line in listing.stdout.splitlines())
    return {int(pid) for pid, *rest in lines if rest and f"{VARIABLE}={cookie}" in rest[0]}


def end(cookie: str, *, grace_seconds: float) -> int:
    """Terminate every carrier of `cookie`, kill those left after `grace_seconds`; return how many there were."""
    if not cookie:
        return 0
    first = carriers(cookie)
    _signal(first, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while left := carriers(cookie):
        if time.monotonic() > deadline:
            _signal(left, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    return len(first)


def _signal(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def wait_for_the_supervisor_and_end(cookie: str) -> None:
    """Block until standard input closes, which is how a killed supervisor is noticed; then end what it left."""
    # The terminal's Ctrl-C is the supervisor's affair; it closes the pipe when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end(cookie, grace_seconds=5)


if __name__ == "__main__":
    wait_for_the_supervisor_and_end(sys.argv[1])
