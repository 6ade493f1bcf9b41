"""PDF: the text of each page by pdfium, wrapped lines joined, then unstructured's rules for what each paragraph is.

unstructured's own PDF path needs torch, and without network returns nothing and says nothing.
"""

import re
from collections.abc import Iterator

import pypdfium2 as pdfium
from unstructured.partition.text import partition_text

from core.errors import DocumentEncrypted, DocumentTooLarge, DocumentUnreadable
from pipelines.document import Element, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES
from pipelines.parsing.limits import MAX_PAGES

_PASSWORD_ERROR = "password"
_SENTENCE_END = re.compile(r"[.!?:;)\]\"”’]$")
_LIST_MARK = re.compile(r"^(?:[-•‣◦*–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_HYPHENATED = re.compile(r"(?<=[a-zA-Z])[-\u00ad\ufffe\u0002]$")


def read_pdf(file: SourceFile) -> Iterator[Element]:
    """Yield the elements page by page. Raises DocumentEncrypted, DocumentTooLarge or DocumentUnreadable."""
    try:
        document = pdfium.PdfDocument(file.content)
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
        for number in range(len(document)):
            text = join_lines(_page_text(document, number))
            if text:
                yield from from_unstructured(partition_text(text=text, languages=LANGUAGES), page=number + 1)


def _page_text(document: pdfium.PdfDocument, number: int) -> str:
    page = document[number]
    text_page = page.get_textpage()
    try:
        text: str = text_page.get_text_range()
    finally:
        text_page.close()
        page.close()
    return text.replace("\r\n", "\n")


def join_lines(text: str) -> str:
    """Return paragraphs separated by blank lines, each on one line.

    A PDF knows lines, not paragraphs. A line is taken for the last of its paragraph when it ends a sentence and is
    shorter than most, for a title when it is short and the next begins anew; a hyphen at the end joins two halves.
    """
    lines = [line.strip() for line in text.split("\n")]
    lengths = sorted(len(line) for line in lines if line)
    if not lengths:
        return ""
    usual = lengths[int(len(lengths) * 0.8)] if len(lengths) > 1 else lengths[0]
    paragraphs: list[str] = []
    current = ""
    for line in lines:
        if not line or _LIST_MARK.match(line):
            paragraphs.append(current)
            current = line
            continue
        if _HYPHENATED.search(current) and line[:1].islower():
            current = _HYPHENATED.sub("", current) + line
        else:
            current = f"{current} {line}" if current else line
        if _ends_paragraph(line, usual):
            paragraphs.append(current)
            current = ""
    paragraphs.append(current)
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _ends_paragraph(line: str, usual: int) -> bool:
    if len(line) < usual * 0.6:
        return True  # a title, or the last line of a paragraph
    return len(line) < usual * 0.9 and bool(_SENTENCE_END.search(line))
