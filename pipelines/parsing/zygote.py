"""The parent's end of the jail's process: start it, have it fork children, learn how each of them ended."""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from core.errors import InternalFailure
from pipelines.parsing import jail_commands
from pipelines.parsing.jail_commands import ENDING_BYTES, FORK, KILL, READY, Command, Ending

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60.0


class ZygoteGone(Exception):
    """The jail's process ended, and all its children with it: nobody's file is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A confined child: the streams to it, and how it will have ended (raises ZygoteGone)."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended: "asyncio.Future[Ending]"


class Zygote:
    """A process with the parsers loaded, from which forking takes milliseconds. Belongs to one event loop."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._forks: dict[int, asyncio.Future[Ending]] = {}
        self._numbers = 0
        self._watch: asyncio.Task[None] | None = None
        self.gone = False

    @classmethod
    async def start(cls, *, memory_bytes: int, reader: str) -> "Zygote":
        """Return it ready to fork, some seconds later. Raises InternalFailure."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pipelines.parsing.jail_child"),
                *(str(theirs.fileno()), str(memory_bytes), reader),
                env=_environment(),
                cwd=_ROOT,
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        finally:
            theirs.close()
        zygote = cls(process, ours)
        try:
            async with asyncio.timeout(_START_SECONDS):
                said = await zygote._receive()
        except BaseException as error:
            await zygote.close()
            if isinstance(error, TimeoutError | ZygoteGone):
                raise InternalFailure("The parsers did not start; the document is tried again.") from error
            raise
        if said != READY:
            await zygote.close()
            raise InternalFailure("The parsers did not start; the document is tried again.")
        zygote._watch = asyncio.create_task(zygote._listen())
        return zygote

    @property
    def pid(self) -> int:
        return self._process.pid

    async def fork(self) -> Fork:
        """Return a fresh child. Raises ZygoteGone."""
        self._numbers += 1
        number, ended = self._numbers, asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        try:
            if self.gone:
                raise ZygoteGone
            jail_commands.send(self._control, Command(name=FORK, number=number), theirs.fileno())
        except (OSError, ZygoteGone) as error:
            ours.close()
            self._lose()  # before the listener notices: the next try must not meet this one again
            raise ZygoteGone from error
        finally:
            theirs.close()
        self._forks[number] = ended
        ended.add_done_callback(lambda future: future.cancelled() or future.exception())  # nobody needs to ask
        reader, writer = await asyncio.open_connection(sock=ours)
        return Fork(number=number, reader=reader, writer=writer, ended=ended)

    def kill(self, number: int) -> None:
        """Kill a child, if it lives. The zygote does it: only who buries a process knows that its id is not reused."""
        with contextlib.suppress(OSError):
            jail_commands.send(self._control, Command(name=KILL, number=number))

    async def close(self) -> None:
        """End it; its children end with it."""
        if self._watch is not None:
            self._watch.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._lose()
        self._control.close()

    async def _listen(self) -> None:
        try:
            while True:
                ending = await self._receive()
                ended = self._forks.pop(ending.number, None)
                if ended is not None and not ended.done():
                    ended.set_result(ending)
        except ZygoteGone:
            self._lose()

    async def _receive(self) -> Ending:
        content = b""
        while len(content) < ENDING_BYTES:
            try:
                more = await asyncio.get_running_loop().sock_recv(self._control, ENDING_BYTES - len(content))
            except OSError as error:
                raise ZygoteGone from error
            if not more:
                raise ZygoteGone
            content += more
        return Ending.unpacked(content)

    def _lose(self) -> None:
        self.gone = True
        for ended in self._forks.values():
            if not ended.done():
                ended.set_exception(ZygoteGone())
        self._forks.clear()


def _environment() -> dict[str, str]:
    """Return what the jail may know: nothing of ours, and one thread so that it can be forked."""
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
