"""The jail's own process. It loads the parsers once, then forks a confined child for each batch it is handed.

    python -m pipelines.parsing.jail_child CONTROL_FD MEMORY_BYTES READER_MODULE

The reader is a module with `warm()` and `read(file)`; tests name another to see what the jail holds.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from core.errors import DocumentTooLarge, DocumentUnreadable, IngestFailed
from pipelines.document import Element, SourceFile
from pipelines.parsing import frames, jail_commands
from pipelines.parsing.confinement import Confined, allow_cpu, confine, die_with, held_bytes, leave_network
from pipelines.parsing.jail_commands import FORK, READY, Ending

Reader = Callable[[SourceFile], tuple[Element, ...]]


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    memory_bytes, module = int(sys.argv[2]), importlib.import_module(sys.argv[3])
    module.warm()
    gc.collect()
    gc.freeze()  # children that never touch these objects share their memory
    leave_network()
    _Jail(control, module.read, memory_bytes).serve()


class _Jail:
    """One thread, no state but its children: whatever is forked is as fresh as the first."""

    def __init__(self, control: socket.socket, read: Reader, memory_bytes: int) -> None:
        self._control = control
        self._read = read
        self._memory_bytes = memory_bytes
        self._children: dict[int, int] = {}  # process id → the number the parent gave
        self._bell, self._ringer = socket.socketpair()
        self._inherited_kib = held_bytes() // 1024

    def serve(self) -> None:
        """Fork and kill on command, tell how children end, until the parent is gone."""
        self._ringer.setblocking(False)
        signal.set_wakeup_fd(self._ringer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._control.sendall(READY.packed())
        while True:
            ready, _, _ = select.select([self._control, self._bell], [], [])
            if self._bell in ready:
                self._bell.recv(4096)
                self._bury()
            if self._control in ready and not self._obey():
                return

    def _obey(self) -> bool:
        command, descriptors = jail_commands.receive(self._control)
        if command is None:
            return False
        if command.name == FORK:
            for descriptor in descriptors:
                self._fork(command.number, descriptor)
        else:
            for pid in [pid for pid, number in self._children.items() if number == command.number]:
                os.kill(pid, signal.SIGKILL)  # not buried yet, so the id is still its own
        return True

    def _fork(self, number: int, descriptor: int) -> None:
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._forget()
                _serve(socket.socket(fileno=descriptor), self._read, self._memory_bytes, zygote)
            finally:
                os._exit(0)
        os.close(descriptor)
        self._children[pid] = number

    def _forget(self) -> None:
        """Let go, in a child, of what belongs to the jail."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in (self._control, self._bell, self._ringer):
            end.close()

    def _bury(self) -> None:
        while self._children:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            ending = Ending(
                number=self._children.pop(pid),
                status=status,
                peak_kib=usage.ru_maxrss,
                inherited_kib=self._inherited_kib,
            )
            with suppress(OSError):  # a parent that is gone is noticed by the next command
                self._control.sendall(ending.packed())


def _serve(parent: socket.socket, read: Reader, memory_bytes: int, zygote: int) -> None:
    die_with(zygote)
    confine(memory_bytes=memory_bytes)
    stream = parent.makefile("rb")
    while (request := frames.read_request(stream)) is not None:
        file, seconds = request
        # Both end the process without asking it: a parser stuck in C never comes back to Python.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        allow_cpu(seconds)
        reply = _attempt(read, file)
        signal.setitimer(signal.ITIMER_REAL, 0)
        parent.sendall(reply)


def _attempt(read: Reader, file: SourceFile) -> bytes:
    try:
        return frames.answer(read(file))
    except IngestFailed as failure:
        return frames.refusal(failure)
    except MemoryError:
        return frames.refusal(
            DocumentTooLarge("Reading the file takes more memory than is allowed. Split it and post the parts.")
        )
    except Confined:
        return frames.refusal(DocumentUnreadable("Reading the file would need more than reading. It is refused."))
    except Exception:
        return frames.refusal(
            DocumentUnreadable("The file cannot be read. Save it again in its program and post it anew.")
        )


if __name__ == "__main__":
    main()
