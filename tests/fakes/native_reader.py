"""A reader that calls the C library, as an exploited parser would: the audit hook of Python never hears of it."""

import ctypes
import mmap
import os
import signal
import struct
import threading
from collections.abc import Callable

from pipelines.document import Element, ElementKind, SourceFile

_LIBC = ctypes.CDLL(None, use_errno=True)
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _SOCK_STREAM, _SOCK_RAW = 1, 2, 10, 16, 1, 3
_MEBIBYTE = 1024 * 1024


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


def _sockets() -> str:
    """Return the verdicts on a socket of each family, and on a pair of them."""
    asked = [(_AF_UNIX, _SOCK_STREAM), (_AF_INET, _SOCK_STREAM), (_AF_INET6, _SOCK_STREAM), (_AF_NETLINK, _SOCK_RAW)]
    verdicts = {_errno(_LIBC.socket(family, kind, 0)) for family, kind in asked}
    pair = (ctypes.c_int * 2)()
    return ",".join(sorted(verdicts | {_errno(_LIBC.socketpair(_AF_UNIX, _SOCK_STREAM, 0, pair))}))


def _fork() -> str:
    pid = _LIBC.fork()
    if pid == 0:
        os._exit(0)
    return _errno(pid)


def _execute() -> str:
    arguments = (ctypes.c_char_p * 2)(b"/bin/true", None)
    return _errno(_LIBC.execve(b"/bin/true", arguments, None))


def _hidden_file() -> str:
    return _errno(_LIBC.memfd_create(b"hidden", 0))


def _hoard(flags: int) -> str:
    hoard = []
    try:
        while True:
            hoard.append(mmap.mmap(-1, 4 * _MEBIBYTE, flags))
            hoard[-1].write(b"x" * 4 * _MEBIBYTE)
    except (OSError, MemoryError):
        return "possible" if len(hoard) >= 1024 else "Cannot allocate memory"


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
    "sockets": _sockets,
    "fork": _fork,
    "execute": _execute,
    "hidden-file": _hidden_file,
    "hoard": lambda: _hoard(mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS),
    "hoard-shared": lambda: _hoard(mmap.MAP_SHARED | mmap.MAP_ANONYMOUS),
    "kill-jail": _kill_jail,
    "environment": _environment,
    "threads": _threads,
}
