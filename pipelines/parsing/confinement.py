"""What a parsing child gives up before it sees its first stranger's byte. There is no way back from any of it."""

import contextlib
import ctypes
import os
import resource
import sys
from typing import Any

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38

_OPEN_FILES = 64
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.kill",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "shutil.",
    "urllib.",
    "ftplib.",
    "smtplib.",
    "pty.",
)
# Libraries read their own data, and a few look at these; nothing else on the disk is a parser's business.
_READABLE = (sys.prefix, sys.base_prefix, "/usr/share", "/usr/lib", "/dev/null", "/etc/mime.types", "/proc/self/")


class Confined(PermissionError):
    """A parser tried what parsing never needs."""


def confine(*, memory_bytes: int) -> None:
    """Take network, files, processes, memory beyond `memory_bytes` and every later privilege away from this process."""
    _no_network()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    # RLIMIT_DATA counts what the process may write; RLIMIT_AS would count every library that is merely mapped.
    _limit(resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS, memory_bytes)
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir("/")
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)
    _limit(resource.RLIMIT_NPROC, 0)


def allow_cpu(seconds: float) -> None:
    """Let the process use this much CPU from now on; the kernel kills it afterwards."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 1
    _hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (until, _hard))


def _limit(what: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower, or it has none of this kind
        resource.setrlimit(what, (value, value))


def _no_network() -> None:
    # An empty network namespace where the kernel lets us have one; the audit hook stands where it does not.
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _refuse_open(*arguments)
    elif event.startswith(_FORBIDDEN):
        raise Confined(f"{event} is not parsing")


def _refuse_open(path: Any, mode: Any, flags: Any) -> None:
    if isinstance(path, int):
        return
    writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)
    if writing or not os.path.realpath(name).startswith(_READABLE):
        raise Confined("opening this file is not parsing")
