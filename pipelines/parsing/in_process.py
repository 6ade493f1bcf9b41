"""Parsing without the jail: the twin for tests, and for nothing that strangers have sent."""

import asyncio
from collections.abc import Sequence

from core.errors import IngestFailed
from pipelines.document import SourceFile
from pipelines.parsing.base import ParsedFile


class InProcessParser:
    """Implements Parser on a thread of this process."""

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        return await asyncio.to_thread(lambda: [_outcome(file) for file in files])

    async def warm(self) -> None:
        """There is nothing to start."""

    async def close(self) -> None:
        """There is nothing to end."""


def _outcome(file: SourceFile) -> ParsedFile:
    from pipelines.parsing.read import read  # seconds of imports, which whoever never parses should not pay

    try:
        return ParsedFile(elements=read(file))
    except IngestFailed as failure:
        return ParsedFile(failure=failure)
