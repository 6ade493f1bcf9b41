"""A Dagster run that takes a bucket's jobs, makes a file once it has begun to parse, and never finishes.

`python -m tests.fakes.hanging_run <bucket> <file>`
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from assets.rag.assets import documents, elements
from assets.rag.partitions import partition_of
from assets.resources import StageTablesResource
from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile
from tests.fakes.plain_text_parser import PlainTextParser
from tests.integration.assets.batch import QuickPlatform


def main() -> None:
    bucket, told = sys.argv[1:]

    async def hang(self: PlainTextParser, files: Sequence[SourceFile]) -> list[ParsedFile]:
        Path(told).touch()
        time.sleep(3600)  # noqa: ASYNC251  # nothing else is to go on
        return []

    PlainTextParser.parse = hang  # type: ignore[method-assign]  # that is the point
    platform = QuickPlatform()
    dg.materialize(
        [documents, elements],
        partition_key=partition_of(int(bucket)),
        resources={"platform": platform, "stage_tables": StageTablesResource(platform=platform)},
    )


if __name__ == "__main__":
    main()
