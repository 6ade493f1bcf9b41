"""Workers of either lane that begin in milliseconds: forks of a process that has imported everything they need.

What they run is what `python -m server worker` and the batch lane run, but for the jail: they parse in process. Whoever
kills workers by the dozen would wait for imports otherwise, and the kills would fall into those.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

STREAM, BATCH = "stream", "batch"


class Nursery:
    """The tests' end: begins workers, kills them, ends them all with itself."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.nursery"],
                env=environment | {"PYTHONPATH": "."},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def begin(self, lane: str) -> int:
        """Return the process id of a new worker of this lane."""
        return int(self._asked(f"begin {lane}"))

    def kill(self, pid: int) -> None:
        """kill -9; on return it is gone."""
        os.kill(pid, signal.SIGKILL)
        self._asked(f"reap {pid}")

    def end(self) -> None:
        """Kill all that live, and the nursery."""
        self._pipe(self._process.stdin).close()
        self._process.wait(60)
        self._pipe(self._process.stdout).close()

    def _asked(self, words: str) -> str:
        to = self._pipe(self._process.stdin)
        to.write(f"{words}\n")
        to.flush()
        answer = self._pipe(self._process.stdout).readline()
        assert answer, "the nursery has died"
        return answer

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def main() -> None:
    living: set[int] = set()
    for line in sys.stdin:
        match line.split():
            case ["begin", lane]:
                _prepare(lane)
                pid = os.fork()
                if pid == 0:
                    _work(lane)
                living.add(pid)
                print(pid, flush=True)
            case ["reap", pid_text]:
                os.waitpid(int(pid_text), 0)
                living.discard(int(pid_text))
                print("gone", flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _prepare(lane: str) -> None:
    """Import what a worker would. Nothing may have been used yet: threads do not come along into a fork."""
    import pipelines.assembly
    import pipelines.parsing.read
    import server.cli.worker  # noqa: F401
    from pipelines.parsing.in_process import InProcessParser

    pipelines.assembly.JailedParser = lambda **_: InProcessParser()  # type: ignore[misc, assignment]
    if lane == BATCH:
        import tests.fakes.batch_lane  # noqa: F401


def _work(lane: str) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    try:
        if lane == BATCH:
            from tests.fakes import batch_lane

            batch_lane.main()
        else:
            from server.cli.main import main as serve

            serve(["worker"])
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
