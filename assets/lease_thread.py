"""Keep a run's jobs ours on a thread and event loop of its own, while the run's steps come and go on theirs."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from core.ids import JobId
from stores.job_keeper import KeptJobs, keep
from stores.letterbox import Job, Letterbox

OpenLetterbox = Callable[[], AbstractAsyncContextManager[Letterbox]]


class LeaseThread:
    """Renews from `start` to `stop`. A process that dies stops renewing, and another lane takes over."""

    def __init__(self, open_letterbox: OpenLetterbox, jobs: Sequence[Job], *, lease: timedelta) -> None:
        self._open_letterbox = open_letterbox
        self._jobs = jobs
        self.job_ids = frozenset(job.id for job in jobs)
        self._lease = lease
        self._running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, KeptJobs]] = Future()
        self._thread = threading.Thread(target=self._run, name="job-leases", daemon=True)

    def start(self) -> None:
        """Return once renewing goes on. Raises what opening the letterbox raised."""
        self._thread.start()
        self._running.result()

    def put_down(self, jobs: Sequence[Job]) -> None:
        """Stop renewing `jobs`: they have been closed or put back."""
        loop, _stop, kept = self._running.result()
        for job in jobs:
            loop.call_soon_threadsafe(kept.put_down, job)

    def report(self, progress: Mapping[JobId, Mapping[str, Any]]) -> None:
        """Write how far these jobs have come with the next renewal."""
        loop, _stop, kept = self._running.result()
        loop.call_soon_threadsafe(kept.progress.update, progress)

    def stop(self) -> None:
        """Stop renewing; jobs still in hand stay leased until their time is up."""
        loop, stop, _kept = self._running.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except Exception as error:
            if self._running.done():
                raise
            self._running.set_exception(error)

    async def _keep(self) -> None:
        async with self._open_letterbox() as letterbox, keep(letterbox, self._jobs, lease=self._lease) as kept:
            stop = asyncio.Event()
            self._running.set_result((asyncio.get_running_loop(), stop, kept))
            await stop.wait()
