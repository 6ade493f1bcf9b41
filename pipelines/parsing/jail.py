"""Parse what strangers send in processes that can do nothing else, and survive whatever happens to them."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import DocumentUnreadable, InternalFailure, ParsingTimedOut
from core.log import get_logger
from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.frames import MAX_ANSWER_BYTES, PREFIX_BYTES, lengths, outcome, pack

log = get_logger()

_READER = "pipelines.parsing.read"
_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0
_HELLO_SECONDS = 10.0
# A large file may take longer than a small one.
_SECONDS_PER_MEBIBYTE = 2.0
# The child's own alarm comes first; this much later the parent does it.
_GRACE_SECONDS = 2.0


class _Gone(Exception):
    """The child ended, or said something it never says."""


class JailedParser:
    """Implements Parser. A batch is one fork of a process that has the parsers loaded already (about 10 ms)."""

    def __init__(self, *, timeout_seconds: float, memory_bytes: int, at_once: int = 2, reader: str = _READER) -> None:
        self._timeout_seconds = timeout_seconds
        self._memory_bytes = memory_bytes
        self._reader = reader
        self._gate = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None

    async def warm(self) -> None:
        """Start ahead of the first file: importing the parsers takes seconds."""
        await self._ready()

    async def close(self) -> None:
        """End the jail; children in the middle of a file end with their alarm."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = self._control = None

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        """Return one outcome a file. A child that dies takes its file with it; the rest go on in the next one."""
        outcomes: list[ParsedFile] = []
        async with self._gate:
            while len(outcomes) < len(files):
                child = await self._fork()
                try:
                    for file in files[len(outcomes) :]:
                        outcomes.append(await child.read(file, self._seconds(file)))
                        if child.dead:
                            break
                finally:
                    child.end()
        return outcomes

    def _seconds(self, file: SourceFile) -> float:
        return self._timeout_seconds + _SECONDS_PER_MEBIBYTE * (len(file.content) // (1024 * 1024))

    async def _fork(self) -> "_Child":
        for _ in range(2):  # a jail that died since it was last used is started anew, once
            control = await self._ready()
            ours, theirs = socket.socketpair()
            try:
                socket.send_fds(control, [b"f"], [theirs.fileno()])
                return await _Child.greet(ours)
            except (OSError, _Gone, TimeoutError) as error:
                ours.close()
                log.warning("jail.fork_failed", error=repr(error))
                await self.close()
            finally:
                theirs.close()
        raise InternalFailure("Something went wrong on our side while reading the document; it is tried again.")

    async def _ready(self) -> socket.socket:
        async with self._starting:
            if self._control is None or self._process is None or self._process.returncode is not None:
                await self.close()
                self._process, self._control = await self._start()
            return self._control

    async def _start(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "pipelines.parsing.jail_child",
                str(theirs.fileno()),
                str(self._memory_bytes),
                self._reader,
                env=_environment(),
                cwd=_ROOT,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
        ours.setblocking(False)
        async with asyncio.timeout(_START_SECONDS):
            if await asyncio.get_running_loop().sock_recv(ours, 16) != b"ready":
                raise InternalFailure("The parsers did not start; the document is tried again.")
        return process, ours


def _environment() -> dict[str, str]:
    """Return what the child may know: nothing of ours, and one thread so that it can be forked."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "DO_NOT_TRACK": "1",
        "UNSTRUCTURED_DISABLE_NOTICE": "1",
    }


class _Child:
    """One confined process and the socket to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        self._reader = reader
        self._writer = writer
        self._pid = pid
        self.dead = False

    @classmethod
    async def greet(cls, ours: socket.socket) -> "_Child":
        reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_ANSWER_BYTES)
        async with asyncio.timeout(_HELLO_SECONDS):
            hello = await _receive(reader)
        return cls(reader, writer, int(hello["pid"]))

    async def read(self, file: SourceFile, seconds: float) -> ParsedFile:
        """Return the outcome for `file`, come what may."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                self._writer.write(pack({"name": file.name, "seconds": seconds}, file.content))
                await self._writer.drain()
                return outcome(await _receive(self._reader))
        except (_Gone, OSError, ValueError, KeyError, TypeError, TimeoutError):
            self.dead = True
            if loop.time() - began >= seconds:
                return ParsedFile(
                    failure=ParsingTimedOut(
                        f"Reading the file was not finished after {seconds:.0f} s. "
                        "Simplify or split it and post it again."
                    )
                )
            return ParsedFile(
                failure=DocumentUnreadable(
                    "The parser broke down over this file. It is damaged, or needs more memory than is allowed."
                )
            )

    def end(self) -> None:
        """Make sure of its end: it has nothing to save."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, signal.SIGKILL)


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    try:
        head_bytes, content_bytes = lengths(await reader.readexactly(PREFIX_BYTES))
        if head_bytes + content_bytes > MAX_ANSWER_BYTES:
            raise _Gone
        header = json.loads(await reader.readexactly(head_bytes))
    except asyncio.IncompleteReadError as error:
        raise _Gone from error
    if not isinstance(header, dict):
        raise _Gone
    return header
