"""A reader that calls the C library, as an exploited parser would: the audit hook of Python never hears of it."""

import ctypes
import os
import signal
import struct
import threading
from collections.abc import Callable

from pipelines.document import Element, ElementKind, SourceFile

_LIBC = ctypes.CDLL(None, use_errno=True)
_AF_INET, _SOCK_STREAM = 2, 1


def warm() -> None:
    """There is nothing to import."""


def read(file: SourceFile) -> tuple[Element, ...]:
    """Do what the file's name says, and tell how it went."""
    return (Element(kind=ElementKind.TEXT, text=DEEDS[file.name]()),)


def _errno(result: int) -> str:
    return "possible" if result >= 0 else os.strerror(ctypes.get_errno())


def _open_passwords() -> str:
    return _errno(_LIBC.open(b"/etc/passwd", os.O_RDONLY))


def _create_file() -> str:
    return _errno(_LIBC.open(b"/var/tmp/native-reader-was-here", os.O_WRONLY | os.O_CREAT, 0o600))


def _connect() -> str:
    descriptor = _LIBC.socket(_AF_INET, _SOCK_STREAM, 0)
    address = struct.pack("=H", _AF_INET) + struct.pack("!H", 9) + bytes([127, 0, 0, 1]) + bytes(8)
    return _errno(_LIBC.connect(descriptor, address, len(address)))


def _kill_jail() -> str:
    return _errno(_LIBC.kill(os.getppid(), signal.SIGKILL))


def _environment() -> str:
    return ",".join(sorted(os.environ))


def _threads() -> str:
    return str(threading.active_count())


DEEDS: dict[str, Callable[[], str]] = {
    "open-passwords": _open_passwords,
    "create-file": _create_file,
    "connect": _connect,
    "kill-jail": _kill_jail,
    "environment": _environment,
    "threads": _threads,
}
