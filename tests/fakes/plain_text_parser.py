"""A parser for tests that are not about parsing: paragraphs of UTF-8 text, in this process, at once."""

from collections.abc import Sequence

from core.errors import DocumentUnreadable
from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.base import ParsedFile

BROKEN = "%BROKEN%"


class PlainTextParser:
    """Reads text; a file that begins with BROKEN cannot be read."""

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        return [_parse(file) for file in files]

    async def close(self) -> None:
        """Nothing to end."""


def _parse(file: SourceFile) -> ParsedFile:
    text = file.content.decode()
    if text.startswith(BROKEN):
        return ParsedFile(failure=DocumentUnreadable("The file is damaged; save it again and post it once more."))
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    return ParsedFile(elements=tuple(Element(kind=ElementKind.TEXT, text=part, page=1) for part in paragraphs))
