"""Linux's Landlock by its system calls: files outside the named folders cannot be opened, not even by C code.

Numbers and layouts are the kernel's (include/uapi/linux/landlock.h) and the same on every architecture.
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# By version: each adds rights that can be taken away. Network from 4, signals and abstract sockets from 6.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_FILE_RIGHTS = (1 << 16) - 1
_TCP_RIGHTS = 0b11
_SCOPES = 0b11


def restrict_to_reading(folders: Iterable[str]) -> bool:
    """Let this process read beneath `folders` and touch no other file, TCP port or foreign process, for good.

    Return whether the kernel has done so: older ones and other systems cannot.
    """
    with contextlib.suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None, use_errno=True)
        version = libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
        if version < 1:
            return False
        attributes = struct.pack(
            "=QQQ",
            _FILE_RIGHTS.get(version, _ALL_FILE_RIGHTS),
            _TCP_RIGHTS if version >= 4 else 0,
            _SCOPES if version >= 6 else 0,
        )
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        rules = libc.syscall(_CREATE_RULESET, attributes, size, 0)
        if rules < 0:
            return False
        for folder in folders:
            _allow(libc, rules, folder)
        restricted: int = libc.syscall(_RESTRICT_SELF, rules, 0)
        os.close(rules)
        return restricted == 0
    return False


def _allow(libc: ctypes.CDLL, rules: int, path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        rights = _READ_FILE | _READ_DIR if Path(path).is_dir() else _READ_FILE
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
        os.close(beneath)
