"""The supervisor keeps its parts alive and leaves none behind, whatever ends it. Real processes, no twins."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.cli import process_cookie
from server.cli.supervisor import STOP_SECONDS

ROOT = Path(__file__).resolve().parents[3]
SLEEP = "import time; print('at work', flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP
# A child that leaves the group and the session of its parent.
FUGITIVE = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True);" + SLEEP
)

Start = Callable[..., "Supervised"]


class Supervised:
    """The process of supervised.py and what it says."""

    def __init__(self, logs: Path, scripts: tuple[str, ...]) -> None:
        command = [sys.executable, str(Path(__file__).with_name("supervised.py")), str(logs), *scripts]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        self.logs = logs
        self.cookie = self.line().removeprefix("cookie ")

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def said_until(self, wanted: str) -> list[str]:
        """Return the lines up to the one that contains `wanted`."""
        lines = [self.line()]
        while wanted not in lines[-1]:
            assert self.process.poll() is None or lines[-1], f"{wanted!r} was never said: {lines}"
            lines.append(self.line())
        return lines

    def at_work(self, number: int) -> set[int]:
        """Return the carriers of the cookie once there are `number` of them, all started."""
        until(lambda: sum(log.read_text().count("at work") for log in self.logs.glob("*.log")) >= number)
        return process_cookie.carriers(self.cookie)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a supervised system of parts given as Python scripts; nothing of it outlives the test."""
    systems: list[Supervised] = []

    def begin(*scripts: str) -> Supervised:
        systems.append(Supervised(tmp_path / "logs", scripts))
        return systems[-1]

    yield begin
    for system in systems:
        system.process.kill()
        system.process.wait()
        process_cookie.end(system.cookie, grace_seconds=0)


def test_dead_part_is_restarted_and_said_so(start: Start) -> None:
    """A killed part comes back under another process id; the terminal says how it ended and its last lines."""
    system = start(SLEEP)
    (before,) = system.at_work(1)
    os.kill(before, signal.SIGKILL)
    said = system.said_until("was restarted")
    assert said[0].startswith("part0 was ended by SIGKILL. Its last lines, from ")
    assert said[1:] == ["    at work", "part0 is restarted in 0.5 s.", "part0 was restarted."]
    (after,) = system.at_work(2)
    assert after != before


def test_part_that_keeps_failing_is_started_at_ever_longer_intervals(start: Start) -> None:
    """A part that cannot run does not take the machine with it."""
    system = start("import sys; sys.exit('no database')")
    said = system.said_until("in 2 s")
    assert [line for line in said if "restarted in" in line] == [
        f"part0 is restarted in {pause} s." for pause in ("0.5", "1", "2")
    ]
    assert said.count("    no database") >= 3
    assert said[0].startswith("part0 ended with status 1.")


def test_stop_ends_deaf_and_escaped_children(start: Start) -> None:
    """A part that ignores SIGTERM and a grandchild in a session of its own are gone within ten seconds."""
    system = start(DEAF, FUGITIVE, SLEEP)
    assert len(system.at_work(3)) == 4
    began = time.monotonic()
    system.process.terminate()
    assert system.process.wait(timeout=15) == 0
    assert time.monotonic() - began < STOP_SECONDS + 1
    assert process_cookie.carriers(system.cookie) == set()


def test_parts_stop_in_reverse_order(start: Start) -> None:
    """What started first ends last, so nobody misses Redis while stopping."""
    tell = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(time.time_ns()));"
    tell += "import atexit; atexit.register(lambda: print('ended', time.time_ns(), flush=True));" + SLEEP
    system = start(tell, tell, tell)
    system.at_work(3)
    system.process.terminate()
    assert system.process.wait(timeout=15) == 0
    endings = [int((system.logs / f"part{n}.log").read_text().split("ended ")[1].split()[0]) for n in range(3)]
    assert endings == sorted(endings, reverse=True)


def test_children_do_not_outlive_a_killed_supervisor(start: Start) -> None:
    """kill -9 of the supervisor gives it no chance; the watchdog ends its children, the escaped one too."""
    system = start(SLEEP, FUGITIVE)
    assert len(system.at_work(2)) == 3
    system.process.kill()
    until(lambda: process_cookie.carriers(system.cookie) == set())


def test_foreign_process_is_never_taken_for_ours() -> None:
    """Only the very cookie counts: not its beginning, and not an empty one."""
    cookie = "0123456789abcdef"
    environment = {**os.environ, process_cookie.VARIABLE: cookie}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        try:
            until(lambda: process_cookie.carriers(cookie) == {process.pid})
            assert process_cookie.carriers(cookie[:-1]) == set()
            assert process_cookie.end("", grace_seconds=0) == 0
            assert process.poll() is None
        finally:
            process.kill()
