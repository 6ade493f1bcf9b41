"""A worker of the batch lane: runs the Dagster assets of whichever bucket waits, again and again, until it is killed.

What the sweep sensor and the daemon do, in one process and without their pauses.
"""

import asyncio
import time

import dagster as dg

from assets.rag.assets import RAG_ASSETS
from assets.rag.partitions import partition_of
from assets.resources import PlatformResource, StageTablesResource
from stores.sql.models import Lane


def main() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        while True:
            platform = PlatformResource()
            waiting = asyncio.run(_waiting(platform))
            if not waiting:
                time.sleep(0.1)
                continue
            dg.materialize(
                RAG_ASSETS,
                instance=instance,
                partition_key=partition_of(max(waiting, key=waiting.__getitem__)),
                resources={"platform": platform, "stage_tables": StageTablesResource(platform=platform)},
                run_config={"ops": {"documents": {"config": {"scope": "pending", "max_jobs": 40}}}},
                raise_on_error=False,
            )


async def _waiting(platform: PlatformResource) -> dict[int, int]:
    async with platform.letterbox() as letterbox:
        return await letterbox.buckets_waiting(Lane.BATCH)


if __name__ == "__main__":
    main()
