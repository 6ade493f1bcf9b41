"""Several processes behind one socket: one that dies is replaced, and all end together.

The framework's own manager is not used: it leaves a killed worker unreplaced, and told to stop while its workers
still start it waits for ever.
"""

import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from core.log import get_logger

if TYPE_CHECKING:
    from core.settings import Settings

log = get_logger()

_BACKLOG = 1024
# Requests under way have five seconds (application.py); what is left then is ended by force.
_STOP_SECONDS = 8.0
# Who dies this young will not be better off for being started again at once.
_YOUNG_SECONDS = 10.0
_PAUSE_SECONDS = 1.0

Start = Callable[[], BaseProcess]


def serve(settings: "Settings") -> None:
    """Serve until SIGTERM or SIGINT; requests under way have five seconds to finish. Raises OSError on a busy port."""
    context = multiprocessing.get_context("spawn")
    numbers = settings.home / "metrics" / str(settings.http_port)
    with _listening(settings.http_host, settings.http_port) as listener:
        _share_numbers(numbers)

        def start() -> BaseProcess:
            process = context.Process(target=_serve_one, args=(settings, listener))
            process.start()
            return process

        keep_running(start, settings.http_workers, forget=partial(_forget_numbers, numbers))


def _share_numbers(folder: Path) -> None:
    """Let every worker answer for all: Prometheus' client in each finds the folder in its environment."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _forget_numbers(folder: Path, pid: int) -> None:
    # What it counted still counts; what it was in the middle of does not.
    for file in folder.glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)


def _remember(_pid: int) -> None:
    pass


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    # Bound once and handed down, so that a busy port is known before anything is started.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=_BACKLOG) as listener:
        listener.setblocking(False)
        yield listener


def keep_running(start: Start, count: int, *, forget: Callable[[int], None] = _remember) -> None:
    """Keep `count` processes running until this one is told to stop; then end them in order.

    `forget` is called with the id of each that died.
    """
    with _told_to_stop() as told:
        born = {start(): time.monotonic() for _ in range(count)}
        try:
            while told not in (ready := wait([told, *(process.sentinel for process in born)])):
                for process in [process for process in born if process.sentinel in ready]:
                    process.join()
                    seconds = time.monotonic() - born.pop(process)
                    log.error("api.process_died", pid=process.pid, exit_status=process.exitcode, after_seconds=seconds)
                    forget(process.pid or 0)
                    if seconds < _YOUNG_SECONDS and wait([told], _PAUSE_SECONDS):
                        return
                    born[start()] = time.monotonic()
        finally:
            _end(list(born))


def _end(processes: list[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    for process in processes:
        process.kill()  # nothing, for one that has ended
        process.join()


@contextmanager
def _told_to_stop() -> Iterator[int]:
    """Yield a file descriptor that becomes readable with the first SIGTERM or SIGINT."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)

    def on_signal(_number: int, _frame: object) -> None:
        pass  # the descriptor below tells

    # Written to by the C handler at once. A Python handler waits for the interpreter, which a signal that arrives just
    # before the wait for these descriptors begins would never wake.
    wakeup = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(told)
        os.close(tell)


def _serve_one(settings: "Settings", listener: socket.socket) -> None:
    from sanic import Sanic

    from server.app.application import create_app  # the parent does without all that
    from server.middleware.framing import StrictProtocol

    # Ctrl-C reaches the whole terminal group. Only the parent's SIGTERM counts: a second signal would cut off
    # the requests that the first one lets finish.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app = create_app(settings)
    app.prepare(
        sock=listener, single_process=True, access_log=False, motd=False, backlog=_BACKLOG, protocol=StrictProtocol
    )
    Sanic.serve_single(app)
    # All is closed. Taking down an interpreter full of native threads can last longer than all of the above.
    os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
