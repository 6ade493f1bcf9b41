"""Keep named child processes running; when asked to stop, leave none behind."""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.cli import process_cookie

STOP_SECONDS = 8.0  # all parts together; what is left then is killed
_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_HEALTHY_SECONDS = 60.0  # a part that ran this long starts its backoff anew
_LOG_BYTES = 10 * 1024 * 1024
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One child process. Parts stop in waves, the highest first; within a wave, all at once."""

    name: str
    command: tuple[str, ...]
    wave: int
    niceness: int = 0  # added to this process's own; what the part starts inherits it


class Supervisor:
    """Starts parts, restarts the ones that die, and says so through `say`."""

    def __init__(self, *, root: Path, logs: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.cookie = secrets.token_hex(16)
        self._root = root
        self._logs = logs
        self._environment = {**environment, process_cookie.VARIABLE: self.cookie}
        self._say = say
        self._running: dict[Part, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._watchdog = self._start_watchdog()
        logs.mkdir(parents=True, exist_ok=True)

    def _start_watchdog(self) -> "subprocess.Popen[bytes]":
        """Start the process that ends the children should this one be killed with no chance to do so."""
        command = [sys.executable, "-IS", process_cookie.__file__, self.cookie]
        return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    async def start(self, part: Part) -> None:
        """Start `part` and keep it running."""
        _rotate(self.log_of(part))
        process = await self._spawn(part)
        self._keepers.append(asyncio.create_task(self._keep(part, process), name=part.name))

    def log_of(self, part: Part) -> Path:
        return self._logs / f"{part.name}.log"

    def is_running(self, name: str) -> bool:
        return any(part.name == name for part in self._running)

    async def run_once(self, part: Part) -> int:
        """Run `part` to its end, which is awaited and not a failure to mend; return its status."""
        process = await self._spawn(part)
        status = await process.wait()
        del self._running[part]
        return status

    async def _spawn(self, part: Part) -> Process:
        def begin() -> None:
            # A shell's `&` starts its children with SIGINT ignored, that is inherited, and Dagster copies it
            # onto SIGTERM.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _yield_to_others(part.niceness)

        with self.log_of(part).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *part.command,
                cwd=self._root,
                env=self._environment,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=begin,
            )
        self._running[part] = process
        return process

    async def _keep(self, part: Part, process: Process) -> None:
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            started = clock()
            status = await process.wait()
            del self._running[part]
            _kill_group(process)  # what the dead part has left of itself must not work beside its successor
            self._tell_of_the_end(part, _how_it_ended(status))
            failures = 0 if clock() - started > _HEALTHY_SECONDS else failures
            process, failures = await self._restart(part, failures)

    async def _restart(self, part: Part, failures: int) -> tuple[Process, int]:
        while True:
            pause = _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)]
            failures += 1
            self._say(f"{part.name} is restarted in {pause:g} s.")
            await asyncio.sleep(pause)
            try:
                process = await self._spawn(part)
            except OSError as error:  # no memory or no process left: later there may be
                self._say(f"{part.name} could not be started: {error.strerror}.")
                continue
            self._say(f"{part.name} was restarted.")
            return process, failures

    def _tell_of_the_end(self, part: Part, how: str) -> None:
        log = self.log_of(part)
        self._say(f"{part.name} {how}. Its last lines, from {log}:")
        for line in tail(log, _TAIL_LINES):
            self._say(f"    {line}")

    async def stop(self) -> None:
        """Stop every part, the latest wave first, and return when none is left: within about ten seconds."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        waves = sorted({part.wave for part in self._running}, reverse=True)
        deadline = asyncio.get_running_loop().time() + STOP_SECONDS
        for position, wave in enumerate(waves):
            later = len(waves) - 1 - position  # each wave still to come is owed a second
            left = deadline - later - asyncio.get_running_loop().time()
            await self._stop_wave([part for part in self._running if part.wave == wave], left)
        # Children of children may have left their group.
        await asyncio.to_thread(process_cookie.end, self.cookie, grace_seconds=0.2)
        self._dismiss_watchdog()

    def kill(self) -> None:
        """Kill every part at once; for those who will not wait for `stop`."""
        for process in self._running.values():
            _kill_group(process)
        process_cookie.end(self.cookie, grace_seconds=0)

    async def _stop_wave(self, parts: Iterable[Part], seconds: float) -> None:
        ending = [self._running.pop(part) for part in parts]
        for process in ending:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        endings = [asyncio.create_task(process.wait()) for process in ending]
        await asyncio.wait(endings, timeout=max(0.5, seconds))
        for process in ending:
            _kill_group(process)
        await asyncio.wait(endings)

    def _dismiss_watchdog(self) -> None:
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()


def _yield_to_others(niceness: int) -> None:
    os.nice(niceness)
    # Linux may share the processor among sessions first; a part is a session, and only this makes that share smaller.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def _kill_group(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


def _how_it_ended(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def tail(path: Path, lines: int) -> list[str]:
    """Return the last `lines` lines of a text file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64 * 1024))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
