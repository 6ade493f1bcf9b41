"""What a parsing child gives up before it sees its first stranger's byte. There is no way back from any of it."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from pipelines.parsing.landlock import restrict_to_reading
from pipelines.parsing.seccomp import refuse_system_calls

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_OPEN_FILES = 64
_FORBIDDEN = (
    "socket.",
    "subprocess.",
    "ctypes.dlopen",
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
# Libraries read their own data and load what they import late; nothing else on the disk is a parser's business.
_READABLE = (sys.prefix, sys.base_prefix, "/usr/share", "/usr/lib", "/lib", "/lib64", "/dev/null", "/etc/ld.so.cache")


# Libraries are mapped in whole and come into memory as they are used; this much of them is still to come.
_LIBRARIES_TO_COME_BYTES = 48 * 1024 * 1024


class Confined(PermissionError):
    """A parser tried what parsing never needs."""


def leave_network() -> None:
    """Put this process, and all it forks, where no network is. Where the kernel refuses, the audit hook stands."""
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def die_with(parent_pid: int) -> None:
    """Be killed when the process that forked this one ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before we could ask
        os._exit(1)


def confine(*, memory_bytes: int) -> None:
    """Take network, files, processes, memory beyond `memory_bytes` and every later privilege away.

    What the child shares with the process that forked it is counted in: it never holds more than `memory_bytes`.
    """
    _be_silent()
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit_memory(memory_bytes)
    os.chdir("/")
    sys.dont_write_bytecode = True
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    restrict_to_reading(_READABLE)
    refuse_system_calls()
    sys.addaudithook(_Refusal(_READABLE))
    _limit(resource.RLIMIT_NPROC, 0)


def allow_cpu(seconds: float) -> None:
    """Let the process use this much CPU from now on; the kernel kills it afterwards."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 1
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (until, hard))


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _be_silent() -> None:
    # A stranger's file does not get to write our log.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)


def _limit_memory(most_bytes: int) -> None:
    """Let the process grow until it holds `most_bytes`.

    The kernel has no limit on what is held, only on what is mapped: RLIMIT_DATA for what the process may write, and
    RLIMIT_AS for everything, such as memory that it shares with itself. Both are set by how much is mapped already.
    """
    sizes = _sizes()
    if sizes is None:
        _limit(resource.RLIMIT_AS, most_bytes)
        return
    mapped, held, data = sizes
    growth = max(0, most_bytes - held - _LIBRARIES_TO_COME_BYTES)
    _limit(resource.RLIMIT_DATA, data + growth)
    _limit(resource.RLIMIT_AS, mapped + growth)


def held_bytes() -> int:
    """Return how much memory this process holds now, where the system says so; the most that it held elsewhere."""
    sizes = _sizes()
    # Not the peak: that of the process which started this one survives into it.
    return sizes[1] if sizes else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _sizes() -> tuple[int, int, int] | None:
    """Return the bytes mapped, held, and mapped to be written, as Linux counts them."""
    with contextlib.suppress(OSError):
        mapped, held, _, _, _, data, _ = Path("/proc/self/statm").read_text("ascii").split()
        page = resource.getpagesize()
        return int(mapped) * page, int(held) * page, int(data) * page
    return None


def _limit(what: int, value: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # the system's own limit is lower, or it has none of this kind
        resource.setrlimit(what, (value, value))


class _Refusal:
    """The audit hook. It remembers its verdicts: some events come thousands of times a file."""

    def __init__(self, readable: tuple[str, ...]) -> None:
        self._readable = tuple(os.path.realpath(folder) for folder in readable)
        self._verdicts: dict[str, bool] = {"open": False}

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        forbidden = self._verdicts.get(event)
        if forbidden is None:
            forbidden = self._verdicts[event] = event.startswith(_FORBIDDEN)
        if forbidden:
            raise Confined(f"{event} is not parsing")
        if event == "open":
            self._check_open(*arguments)

    def _check_open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        name = os.path.realpath(os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path))
        if writing or not any(name == folder or name.startswith(folder + os.sep) for folder in self._readable):
            raise Confined("opening this file is not parsing")
