"""A process that crawls a bucket, or expands a repository, and is killed, as by `kill -9`, at a chosen commit.

`python -m tests.fakes.doomed_crawl <bucket> <point> <time>`: at the <time>-th time it gets there. The bucket `fetch`
stands for the stream lane's fetch slots, which expand repositories. One that never gets there ends with status 0.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from functools import wraps
from typing import Any

import dagster as dg

from assets.definitions import definitions_with
from assets.rag.partitions import partition_of
from pipelines.streams.ingest_lane import work_off
from stores.job_keeper import keep
from stores.members import Members
from stores.sources import Crawls
from stores.sql.models import Lane
from stores.sql.unit_of_work import UnitOfWork
from tests.integration.assets.batch import QuickPlatform

# The function of that owner that is about to begin, or has just ended.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "documents written, not committed": (Members, "put", True),
    "documents retired, not committed": (Members, "retire", True),
    "committed": (UnitOfWork, "commit", True),
    "before closing": (Crawls, "close", False),
    "one document of a transaction": (Members, "_put", True),
}


def doom(point: str, time: int) -> None:
    owner, name, after = POINTS[point]
    original = getattr(owner, name)
    times = 0

    def die_if_it_is_time() -> None:
        nonlocal times
        times += 1
        if times == time:
            os.kill(os.getpid(), signal.SIGKILL)

    @wraps(original)
    async def doomed(*args: Any, **kwargs: Any) -> Any:
        if not after:
            die_if_it_is_time()
        result = await original(*args, **kwargs)
        if after:
            die_if_it_is_time()
        return result

    setattr(owner, name, doomed)


async def expand() -> None:
    platform = QuickPlatform()
    async with platform.ingestion() as ingestion:
        writer = replace(ingestion.writer, lane=Lane.STREAM)
        jobs = await ingestion.letterbox.claim("doomed", Lane.FETCH, limit=1)
        async with keep(ingestion.letterbox, jobs, lease=ingestion.job_lease) as kept:
            await work_off(ingestion.tools, writer, jobs, kept)


def main() -> None:
    bucket, point, time = sys.argv[1:]
    doom(point, int(time))
    if bucket == "fetch":
        asyncio.run(expand())
        return
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions_with(QuickPlatform()).resolve_job_def("crawl_sources")
        job.execute_in_process(instance=instance, partition_key=partition_of(int(bucket)))


if __name__ == "__main__":
    main()
