"""A builder of index generations in a process of its own that is killed, as by `kill -9`, after its nth Lance commit.

`python -m tests.fakes.doomed_builder <n>`
"""

import os
import signal
import sys
from typing import Any

import dagster as dg

from assets.definitions import definitions_with
from stores.lance import ChunkTable
from tests.integration.assets.batch import QuickPlatform


def main() -> None:
    last = int(sys.argv[1])
    original, commits = ChunkTable.commit, 0

    async def doomed(*args: Any, **kwargs: Any) -> Any:
        nonlocal commits
        report = await original(*args, **kwargs)
        commits += 1
        if commits == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return report

    ChunkTable.commit = doomed  # type: ignore[method-assign]  # that is the point
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions_with(QuickPlatform()).resolve_job_def("build_generations")
        job.execute_in_process(instance=instance)


if __name__ == "__main__":
    main()
