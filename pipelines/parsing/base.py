"""What a parser is: bytes in, elements out. Which parser reads what is decided by content, not by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import IngestFailed
from pipelines.document import Element, SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFile:
    """The outcome for one file: its elements, or why there are none. Exactly one of the two is set."""

    elements: tuple[Element, ...] = ()
    failure: IngestFailed | None = None


class Parser(Protocol):
    """The contract of the jail, and of its in-process twin for tests."""

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        """Return one outcome a file, in order. All files belong to one tenant: they may share a child.

        A file that kills, hangs or bloats its child costs only itself; the rest are parsed all the same.
        """

    async def warm(self) -> None:
        """Start ahead of the first file whatever takes long to start."""

    async def close(self) -> None:
        """End what was started."""
