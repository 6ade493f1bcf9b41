"""Processes that begin in milliseconds: forks of one that has imported everything they need.

Whoever kills processes by the dozen would wait for their imports otherwise, and most kills would fall into those.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


class Nursery:
    """The tests' end: begins processes, kills them, waits for them, ends them all with itself."""

    def __init__(self, log: Path, imports: Sequence[str]) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.nursery", *imports],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def begin(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        """Have a new process run `main` of the module; return its id. What it prints is in the log."""
        return self._asked("begin", module, arguments, dict(os.environ if environment is None else environment))

    def kill(self, pid: int) -> None:
        """kill -9; on return it is gone."""
        os.kill(pid, signal.SIGKILL)
        self.ended(pid)

    def ended(self, pid: int) -> int:
        """Wait for the process to end; return its status, negative for a signal."""
        return self._asked("await", pid)

    def end(self) -> None:
        """Kill all that live, and the nursery."""
        self._pipe(self._process.stdin).close()
        self._process.wait(60)
        self._pipe(self._process.stdout).close()

    def _asked(self, *words: object) -> int:
        to = self._pipe(self._process.stdin)
        to.write(json.dumps(words) + "\n")
        to.flush()
        answer = self._pipe(self._process.stdout).readline()
        assert answer, f"the nursery has died: {self.log.read_text()[-4000:]}"
        return int(answer)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def main() -> None:
    # Nothing of it may have been used when a fork is made: threads do not come along.
    for module in sys.argv[1:]:
        importlib.import_module(module)
    living: set[int] = set()
    for line in sys.stdin:
        match json.loads(line):
            case ["begin", module, arguments, environment]:
                pid = os.fork()
                if pid == 0:
                    _be(module, arguments, environment)
                living.add(pid)
                print(pid, flush=True)
            case ["await", pid]:
                _, status = os.waitpid(pid, 0)
                living.discard(pid)
                print(os.waitstatus_to_exitcode(status), flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _be(module: str, arguments: list[str], environment: dict[str, str]) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    status = 1
    try:
        importlib.import_module(module).main()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
