"""From unstructured's elements to ours: five kinds, clean text, page and section, tables with their cells."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lxml import etree, html
from unstructured.documents.elements import Element as Parsed

from core.errors import DocumentTooLarge, EmptyDocument
from pipelines.document import Element, ElementKind
from pipelines.parsing.limits import MAX_ELEMENTS, MAX_TEXT_CHARACTERS
from pipelines.parsing.tables import table_elements

_KINDS = {
    "Title": ElementKind.TITLE,
    "ListItem": ElementKind.LIST_ITEM,
    "Table": ElementKind.TABLE,
    "CodeSnippet": ElementKind.CODE,
}
# What repeats on every page says nothing about the page.
_DROPPED = frozenset({"Header", "Footer", "PageBreak", "PageNumber", "Image"})


def clean(text: str) -> str:
    """Return text that every store can hold: no NUL, no half surrogate pairs, no blanks around it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()


def from_unstructured(parsed: Iterable[Parsed], *, page: int | None = None) -> Iterator[Element]:
    """Map what unstructured found; `page` overrides the page numbers it gives. A sheet's name becomes the section."""
    for element in parsed:
        if element.category in _DROPPED:
            continue
        number = page if page is not None else element.metadata.page_number
        if element.category == "Table" and element.metadata.text_as_html:
            rows = _rows(element.metadata.text_as_html)
            sheet = element.metadata.page_name
            yield from table_elements(rows, page=None if sheet else number, section=sheet)
            continue
        yield Element(
            kind=_KINDS.get(element.category, ElementKind.TEXT),
            text=element.text,
            page=None if element.metadata.page_name else number,
            section=element.metadata.page_name,
        )


def _rows(table_html: str) -> list[list[str]]:
    parser = html.HTMLParser(no_network=True, huge_tree=True)
    table = html.fragment_fromstring(table_html, create_parent=True, parser=parser)
    return [
        [etree.tostring(cell, method="text", encoding="unicode", with_tail=False) for cell in row.iter("td", "th")]
        for row in table.iter("tr")
    ]


def finished(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Clean the texts, drop what is blank, note the section. Raises EmptyDocument or DocumentTooLarge."""
    kept: list[Element] = []
    section: str | None = None
    characters = 0
    for element in elements:
        text = clean(element.text)
        if not text:
            continue
        characters += len(text)
        if len(kept) >= MAX_ELEMENTS or characters > MAX_TEXT_CHARACTERS:
            raise DocumentTooLarge(
                "The document has more text than one document may have. Split it and post the parts."
            )
        if element.kind is ElementKind.TITLE:
            section = text
        kept.append(replace(element, text=text, section=element.section or section))
    if not kept:
        raise EmptyDocument(
            "No text was found in the file. If it is a scan, recognise its text first and post the result."
        )
    return tuple(kept)
