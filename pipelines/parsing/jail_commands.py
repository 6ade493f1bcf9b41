"""The few words between the parser's parent and the jail's process: fork, kill; ready, and how a child ended."""

import os
import signal
import socket
import struct
from dataclasses import dataclass

FORK = b"f"
KILL = b"k"

_COMMAND = struct.Struct("!cI")
_ENDING = struct.Struct("!IIII")
ENDING_BYTES = _ENDING.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to do with the child of this number. FORK brings the child's socket with it."""

    name: bytes
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the child of this number ended: its wait status, the most memory it held, and what of it was inherited."""

    number: int
    status: int
    peak_kib: int
    inherited_kib: int

    def packed(self) -> bytes:
        return _ENDING.pack(self.number, self.status, min(self.peak_kib, 0xFFFFFFFF), self.inherited_kib)

    @classmethod
    def unpacked(cls, content: bytes) -> "Ending":
        number, status, peak_kib, inherited_kib = _ENDING.unpack(content)
        return cls(number=number, status=status, peak_kib=peak_kib, inherited_kib=inherited_kib)

    @property
    def grown_kib(self) -> int:
        """How much it came to hold of its own."""
        return max(0, self.peak_kib - self.inherited_kib)

    @property
    def by_signal(self) -> signal.Signals | None:
        """The signal that killed it, if one did."""
        return signal.Signals(os.WTERMSIG(self.status)) if os.WIFSIGNALED(self.status) else None


# Said once, before any child has a number.
READY = Ending(number=0, status=0, peak_kib=0, inherited_kib=0)


def send(control: socket.socket, command: Command, descriptor: int | None = None) -> None:
    """Send one command. Raises OSError if nobody listens."""
    content = _COMMAND.pack(command.name, command.number)
    socket.send_fds(control, [content], [] if descriptor is None else [descriptor])


def receive(control: socket.socket) -> tuple[Command | None, list[int]]:
    """Return the next command and the descriptors that came with it; None when nobody is there any more."""
    content, descriptors, _, _ = socket.recv_fds(control, _COMMAND.size, 1)
    if len(content) < _COMMAND.size:
        return None, descriptors
    name, number = _COMMAND.unpack(content)
    return Command(name=name, number=number), descriptors
