"""The jail's own process. It imports the parsers once, then forks a confined child for each batch it is handed.

    python -m pipelines.parsing.jail_child CONTROL_FD MEMORY_BYTES READER_MODULE

One byte and a socket arrive on the control socket for each batch; the child it forks speaks on that socket alone.
The reader is a module with `warm()` and `read(file)`; tests name another to see what the jail holds.
"""

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable

from core.errors import DocumentTooLarge, DocumentUnreadable, IngestFailed
from pipelines.document import Element, SourceFile
from pipelines.parsing.confinement import Confined, allow_cpu, confine
from pipelines.parsing.frames import PREFIX_BYTES, answer, lengths, pack, refusal

Reader = Callable[[SourceFile], tuple[Element, ...]]


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    memory_bytes, module = int(sys.argv[2]), importlib.import_module(sys.argv[3])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the children
    module.warm()
    control.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not message:  # the parent is gone
            return
        for descriptor in descriptors:
            if os.fork() == 0:
                control.close()
                _serve(socket.socket(fileno=descriptor), module.read, memory_bytes)
                os._exit(0)
            os.close(descriptor)


def _serve(parent: socket.socket, read: Reader, memory_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parent.sendall(pack({"pid": os.getpid()}))
    confine(memory_bytes=memory_bytes)
    stream = parent.makefile("rb")
    while prefix := stream.read(PREFIX_BYTES):
        head_bytes, content_bytes = lengths(prefix)
        header = json.loads(stream.read(head_bytes))
        file = SourceFile(name=header["name"], content=stream.read(content_bytes))
        # Both end the process without asking it: a parser stuck in C never comes back to Python.
        signal.setitimer(signal.ITIMER_REAL, header["seconds"])
        allow_cpu(header["seconds"])
        reply = _attempt(read, file)
        signal.setitimer(signal.ITIMER_REAL, 0)
        parent.sendall(reply)


def _attempt(read: Reader, file: SourceFile) -> bytes:
    try:
        return answer(read(file))
    except MemoryError:
        return refusal(
            DocumentTooLarge("Reading the file takes more memory than is allowed. Split it and post the parts.")
        )
    except IngestFailed as failure:
        if isinstance(failure.__cause__, MemoryError):
            return _attempt_failed()
        return refusal(failure)
    except Confined:
        return refusal(DocumentUnreadable("Reading the file would need more than reading. It is refused."))
    except Exception:
        return _attempt_failed()


def _attempt_failed() -> bytes:
    return refusal(DocumentUnreadable("The file cannot be read. Save it again in its program and post it anew."))


if __name__ == "__main__":
    main()
