"""Linux's system call filter: what no parser ever asks the kernel for is refused, also to C code.

The filter is a classic BPF program; its instructions are the kernel's (include/uapi/linux/filter.h). System calls have
other numbers on each architecture: those of x86-64 and of 64-bit ARM are known here.
"""

import contextlib
import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterable

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_LOAD_WORD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
# 64-bit processes may ask by the numbers of 32-bit ones too, which begin here on x86-64.
_OTHER_NUMBERS = 0x40000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# By name: the numbers on x86-64 and on ARM; None where the architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # sockets: what the child has is the one that it was born with
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "socketpair": (53, 199),
    "accept4": (288, 242),
    # further processes, and other programs
    "clone": (56, 220),
    "fork": (57, None),
    "vfork": (58, None),
    "clone3": (435, 435),
    "execve": (59, 221),
    "execveat": (322, 281),
    # other people's processes
    "kill": (62, 129),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    # other ways to all of these, and what exploits of the kernel begin with
    "io_uring_setup": (425, 425),
    "memfd_create": (319, 279),
    "userfaultfd": (323, 282),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_system_calls() -> bool:
    """Refuse, for good, what parsing never needs. Return whether the kernel has agreed; new privileges must be off."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if sys.platform != "linux" or architecture is None:
        return False
    column = list(_ARCHITECTURES).index(platform.machine())
    numbers = sorted(number for known in _REFUSED.values() if (number := known[column]) is not None)
    instructions = b"".join(_filter(architecture, numbers))
    kept = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // 8, ctypes.cast(kept, ctypes.c_void_p))
    with contextlib.suppress(AttributeError, OSError):
        refused: int = ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0)
        return refused == 0
    return False


def _filter(architecture: int, numbers: Iterable[int]) -> Iterable[bytes]:
    refuse = _instruction(_RETURN, _REFUSE)
    yield _instruction(_LOAD_WORD, _ARCHITECTURE_AT)
    yield _instruction(_JUMP_IF_EQUAL, architecture, skip_if=1)
    yield refuse
    yield _instruction(_LOAD_WORD, _NUMBER_AT)
    yield _instruction(_JUMP_IF_AT_LEAST, _OTHER_NUMBERS, skip_unless=1)
    yield refuse
    for number in numbers:
        yield _instruction(_JUMP_IF_EQUAL, number, skip_unless=1)
        yield refuse
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, *, skip_if: int = 0, skip_unless: int = 0) -> bytes:
    return struct.pack("=HBBI", code, skip_if, skip_unless, value)
