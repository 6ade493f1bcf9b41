"""The parent of the serving processes: one that dies is replaced, and being told to stop ends them all."""

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess

import pytest

from server.app import processes
from server.app.processes import keep_running

PATIENCE_SECONDS = 60


class Nursery:
    """Starts processes that sleep, and knows them all."""

    def __init__(self) -> None:
        self.born: list[BaseProcess] = []
        self.grown = threading.Condition()

    def start(self) -> BaseProcess:
        process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
        process.start()
        with self.grown:
            self.born.append(process)
            self.grown.notify_all()
        return process

    def wait_for(self, count: int) -> None:
        with self.grown:
            assert self.grown.wait_for(lambda: len(self.born) >= count, PATIENCE_SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_killed_process_is_replaced_and_all_end(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """kill -9 one of two: a third is started. Then a signal to the parent ends what is left, and it returns."""
    monkeypatch.setattr(processes, "_PAUSE_SECONDS", 0.01)
    nursery = Nursery()

    def disturb() -> None:
        nursery.wait_for(2)
        nursery.born[0].kill()
        nursery.wait_for(3)
        os.kill(os.getpid(), number)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    keep_running(nursery.start, 2)
    disturbing.join()
    assert [process.exitcode for process in nursery.born] == [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGTERM]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers


def test_who_does_not_listen_is_ended_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the order to stop does not keep the others waiting for ever."""
    monkeypatch.setattr(processes, "_STOP_SECONDS", 0.2)
    nursery = Nursery()

    def disturb() -> None:
        nursery.wait_for(1)
        stubborn = nursery.born[0].pid or 0
        os.kill(stubborn, signal.SIGSTOP)  # stopped, it cannot act on a SIGTERM
        os.waitid(os.P_PID, stubborn, os.WSTOPPED | os.WNOWAIT)
        os.kill(os.getpid(), signal.SIGTERM)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    keep_running(nursery.start, 1)
    disturbing.join()
    assert [process.exitcode for process in nursery.born] == [-signal.SIGKILL]
