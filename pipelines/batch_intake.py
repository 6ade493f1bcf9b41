"""Take a batch run's share of the letterbox: as much as one run holds in memory. The rest waits for the next run."""

from stores.documents import Documents
from stores.letterbox import SUSPECT_ATTEMPT, Job, Letterbox
from stores.sql.models import Lane

# Claimed in small transactions: SQLite has one writer, and others want it too.
_CLAIMED_AT_ONCE = 100


async def take_jobs(
    letterbox: Letterbox, documents: Documents, *, owner: str, bucket: int, max_jobs: int, max_bytes: int
) -> list[Job]:
    """Claim jobs of `bucket` until there are none, or `max_jobs`, or their documents hold `max_bytes` or more.

    A job that keeps coming back is taken alone: if it is what ends its runs, it ends no other's work.
    """
    jobs: list[Job] = []
    size_bytes = 0
    while len(jobs) < max_jobs and size_bytes < max_bytes:
        limit = min(_CLAIMED_AT_ONCE, max_jobs - len(jobs))
        claimed = await letterbox.claim(owner, Lane.BATCH, limit=limit, bucket=bucket)
        if not claimed:
            break
        if claimed[0].attempt >= SUSPECT_ATTEMPT:
            return await _alone(letterbox, claimed[0], jobs)
        jobs += claimed
        size_bytes += await documents.size_bytes(claimed)
    return jobs


async def _alone(letterbox: Letterbox, suspect: Job, jobs: list[Job]) -> list[Job]:
    if not jobs:
        return [suspect]
    await letterbox.release(suspect)
    return jobs
