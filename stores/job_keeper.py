"""Keep claimed jobs ours for as long as their worker lives, and tell it when one is not."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from core.ids import JobId
from core.log import get_logger, may_fail
from stores.letterbox import Job, Letterbox

log = get_logger()


class KeptJobs:
    """The jobs in hand. `progress` is written with the next renewal; `lost` holds those somebody else has now."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = {job.id: job for job in jobs}
        self.progress: dict[JobId, Mapping[str, Any]] = {}
        self.lost: set[JobId] = set()

    @property
    def jobs(self) -> list[Job]:
        return list(self._jobs.values())

    def put_down(self, job: Job) -> None:
        """Stop renewing `job`: it has been closed or put back."""
        self._jobs.pop(job.id, None)

    def written(self, progress: Mapping[JobId, Mapping[str, Any]]) -> None:
        """Write no progress twice: a batch run holds thousands of jobs, and most renewals have no news of them."""
        for job_id, said in progress.items():
            if self.progress.get(job_id) is said:
                del self.progress[job_id]

    def lose(self, kept: Sequence[Job]) -> None:
        gone = self._jobs.keys() - {job.id for job in kept}
        self.lost |= gone
        for job_id in gone:
            log.warning("job.lost", job=job_id)
            del self._jobs[job_id]


@asynccontextmanager
async def keep(letterbox: Letterbox, jobs: Sequence[Job], *, lease: timedelta) -> AsyncIterator[KeptJobs]:
    """Renew the leases of `jobs` three times per lease until the block ends."""
    kept = KeptJobs(jobs)

    async def renewing() -> None:
        while True:
            await asyncio.sleep(lease.total_seconds() / 3)
            held = kept.jobs
            with may_fail("renewing job leases"):  # two more tries fit into the lease
                progress = dict(kept.progress)
                still = {job.id for job in await letterbox.renew(held, progress)}
                kept.written(progress)
                # Jobs put down while the renewal was under way are not lost but finished.
                kept.lose([job for job in kept.jobs if job.id in still or job not in held])

    task = asyncio.create_task(renewing())
    try:
        yield kept
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
