"""PDF: the text of each page by pdfium, wrapped lines joined, then unstructured's rules for what each paragraph is.

unstructured's own PDF path needs torch, and without network returns nothing and says nothing.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import pypdfium2 as pdfium

from core.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable
from pipelines.document import Element, SourceFile
from pipelines.parsing.limits import MAX_PAGES, MAX_TEXT_CHARACTERS
from pipelines.parsing.lines import join_lines
from pipelines.parsing.plain import prose

_PASSWORD_ERROR = "password"
# What pdfium puts where a word was broken at the end of a line.
_BROKEN_WORD = re.compile("[\ufffe\x02]\n?")
# Lines at the edge of a page that, its number aside, stand on this share of the pages are headers and footers.
_EDGE_LINES = 2
_REPEATED_SHARE = 0.5
_FEWEST_PAGES = 3


def read_pdf(file: SourceFile) -> Iterator[Element]:
    """Yield the elements page by page. Raises DocumentEncrypted, DocumentTooLarge or DocumentUnreadable."""
    pages = [page.split("\n") for page in _pages(file.content)]
    for number, lines in enumerate(without_running_lines(pages), start=1):
        yield from prose(join_lines("\n".join(lines)), page=number)


def _pages(content: bytes) -> Iterator[str]:
    try:
        document = pdfium.PdfDocument(content)
    except pdfium.PdfiumError as error:
        if _PASSWORD_ERROR in str(error).lower():
            raise DocumentEncrypted(
                "The PDF is protected by a password. Remove the protection and post it again."
            ) from error
        raise DocumentUnreadable(
            "The PDF is damaged or truncated. Export it again from its program and post it anew."
        ) from error
    with document:
        if len(document) > MAX_PAGES:
            raise DocumentTooLarge(f"The PDF has {len(document)} pages; {MAX_PAGES} are accepted. Split it.")
        characters = 0
        for number in range(len(document)):
            text = _page_text(document, number)
            characters += len(text)
            if characters > MAX_TEXT_CHARACTERS:
                raise DocumentTooLarge("The PDF has more text than one document may have. Split it.")
            yield text


def _page_text(document: pdfium.PdfDocument, number: int) -> str:
    page = document[number]
    text_page = page.get_textpage()
    try:
        text: str = text_page.get_text_range()
    finally:
        text_page.close()
        page.close()
    return _BROKEN_WORD.sub("", text.replace("\r\n", "\n"))


def without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the lines of the pages without the headers and footers that run through them."""
    stripped = [[line.strip() for line in page if line.strip()] for page in pages]
    keys = [[_key(line, number) for line in page] for number, page in enumerate(stripped, start=1)]
    seen = Counter(key for page in keys for key in {*page[:_EDGE_LINES], *page[-_EDGE_LINES:]})
    often = max(_FEWEST_PAGES, _REPEATED_SHARE * len(pages))
    running = {key for key, times in seen.items() if times >= often}
    if not running:
        return [list(page) for page in pages]
    trimmed = [_trimmed(page, own, running) for page, own in zip(stripped, keys, strict=True)]
    return trimmed if any(trimmed) else stripped  # pages that say nothing else say that


def _key(line: str, page: int) -> str:
    # The page's own number counts for nothing; any other tells one invoice from the next.
    return re.sub(rf"\b{page}\b", "#", line, count=1)


def _trimmed(page: list[str], keys: list[str], running: set[str]) -> list[str]:
    first, last = 0, len(page)
    while first < min(_EDGE_LINES, last) and keys[first] in running:
        first += 1
    while last > max(first, len(page) - _EDGE_LINES) and keys[last - 1] in running:
        last -= 1
    return page[first:last]
