"""What a jail must hold: a reader that does, by the name of the file, what an exploited parser might do.

`JailedParser(reader="tests.fakes.hostile_reader")` runs it where unstructured would run.
"""

import ctypes
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.document import Element, ElementKind, SourceFile

_ALMOST_FOREVER = 3600


def warm() -> None:
    """There is nothing to import."""


def read(file: SourceFile) -> tuple[Element, ...]:
    """Do what the file's name says; the text of any other file is its only element."""
    deed = DEEDS.get(file.name)
    text = file.content.decode() if deed is None else f"{file.name} was possible: {deed()!r}"
    return (Element(kind=ElementKind.TEXT, text=text),)


def _sleep() -> None:
    time.sleep(_ALMOST_FOREVER)


def _sleep_deaf_to_alarms() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    time.sleep(_ALMOST_FOREVER)


def _loop_in_c() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


def _loop_in_python() -> None:
    while True:
        pass


def _allocate() -> None:
    kept = []
    while True:
        kept.append(bytearray(b"x" * (8 * 1024 * 1024)))


def _recurse(depth: int = 0) -> int:
    return 1 + _recurse(depth + 1)


def _exit() -> None:
    os._exit(0)


def _crash() -> None:
    ctypes.string_at(0)


def _answer_in_rubbish() -> None:
    os.write(_socket_to_parent(), b"\xff" * 64)
    time.sleep(_ALMOST_FOREVER)


def _answer_in_the_wrong_shape() -> None:
    os.write(_socket_to_parent(), b"E" + (7).to_bytes(4) + b"no row.")  # announced rightly, and no element in it
    time.sleep(_ALMOST_FOREVER)


def _answer_without_end() -> None:
    os.write(_socket_to_parent(), b"E" + (2**32 - 1).to_bytes(4))
    time.sleep(_ALMOST_FOREVER)


def _hang_up() -> None:
    os.close(_socket_to_parent())
    time.sleep(_ALMOST_FOREVER)


def _socket_to_parent() -> int:
    for descriptor in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                return descriptor
        except OSError:
            continue
    raise LookupError("no socket")


def _connect() -> None:
    socket.create_connection(("127.0.0.1", 9), timeout=1)


def _resolve() -> object:
    return socket.getaddrinfo("larkspur.example", 80)


def _spawn() -> int:
    return subprocess.run(["/bin/true"], check=False).returncode


def _fork() -> int:
    return os.fork()


def _write() -> int:
    return Path("/var/tmp/hostile-reader-was-here").write_bytes(b"x")


def _read_passwords() -> str:
    return Path("/etc/passwd").read_text()


def _read_environment_of_parent() -> bytes:
    return Path(f"/proc/{os.getppid()}/environ").read_bytes()


def _kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


DEEDS: dict[str, Callable[[], object]] = {
    "sleep": _sleep,
    "sleep-deaf-to-alarms": _sleep_deaf_to_alarms,
    "loop-in-c": _loop_in_c,
    "loop-in-python": _loop_in_python,
    "allocate": _allocate,
    "recurse": _recurse,
    "exit": _exit,
    "crash": _crash,
    "answer-in-rubbish": _answer_in_rubbish,
    "answer-in-the-wrong-shape": _answer_in_the_wrong_shape,
    "answer-without-end": _answer_without_end,
    "hang-up": _hang_up,
    "connect": _connect,
    "resolve": _resolve,
    "spawn": _spawn,
    "fork": _fork,
    "write": _write,
    "read-passwords": _read_passwords,
    "read-environment-of-parent": _read_environment_of_parent,
    "kill-parent": _kill_parent,
}
