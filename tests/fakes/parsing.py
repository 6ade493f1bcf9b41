"""A parser with no unstructured and no child process: paragraphs of UTF-8 text, or the fault it is told to find."""

from collections.abc import Sequence

from core.errors import DocumentUnreadable
from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.base import ParsedFile


class ParagraphParser:
    """Text that holds "%broken%" cannot be read; all other text is its paragraphs."""

    async def parse(self, files: Sequence[SourceFile]) -> list[ParsedFile]:
        return [_parsed(file.content.decode()) for file in files]


def _parsed(text: str) -> ParsedFile:
    if "%broken%" in text:
        return ParsedFile(failure=DocumentUnreadable("The file is damaged. Save it again and post it anew."))
    paragraphs = [paragraph.strip() for paragraph in text.split("\n\n") if paragraph.strip()]
    return ParsedFile(elements=tuple(Element(kind=ElementKind.TEXT, text=text) for text in paragraphs))
