"""A Dagster run in a process of its own that is killed, as by `kill -9`, at a chosen point of its work.

`python -m tests.fakes.doomed_run <bucket> <point> <time>`: at the <time>-th time it gets there. A run that never gets
there ends with status 0.
"""

import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import dagster as dg

import assets.rag.assets
from assets.definitions import definitions_with
from assets.rag.partitions import partition_of
from pipelines.embedding.hashed import HashEmbedder
from pipelines.index_writer import IndexWriter
from stores.lance import ChunkTable
from stores.letterbox import Letterbox
from tests.fakes.plain_text_parser import PlainTextParser
from tests.integration.assets.batch import QuickPlatform

# Where the function of that owner is about to begin, or has just ended.
POINTS: dict[str, tuple[Any, str, bool]] = {
    "jobs taken": (Letterbox, "claim", True),
    "before parsing": (PlainTextParser, "parse", False),
    "parsed": (PlainTextParser, "parse", True),
    "before chunking": (assets.rag.assets, "chunked", False),
    "while embedding": (HashEmbedder, "embed", True),
    "before the Lance commit": (ChunkTable, "commit", False),
    "after the Lance commit": (ChunkTable, "commit", True),
    "inside the SQL commit": (IndexWriter, "_close_written", True),
    "jobs closed": (IndexWriter, "commit", True),
}


def doom(point: str, time: int) -> None:
    owner, name, after = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
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

    @wraps(original)
    def doomed_plainly(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        die_if_it_is_time()
        return result

    setattr(owner, name, doomed if iscoroutinefunction(original) else doomed_plainly)


def main() -> None:
    bucket, point, time = sys.argv[1:]
    doom(point, int(time))
    assets.rag.assets.WRITTEN_AT_ONCE = 2  # so that a run of few documents writes several times
    with dg.DagsterInstance.ephemeral() as instance:
        definitions_with(QuickPlatform()).resolve_job_def("index_documents").execute_in_process(
            instance=instance,
            partition_key=partition_of(int(bucket)),
            run_config={"ops": {"documents": {"config": {"scope": "pending"}}}},
        )


if __name__ == "__main__":
    main()
