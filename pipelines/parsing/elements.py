"""From unstructured's elements to ours: five kinds, clean text, page and section, tables with their cells."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lxml import html
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


# Control characters and non-characters that stores and readers stumble over; tabs and line ends stay.
_UNWANTED = dict.fromkeys([*set(range(32)) - {9, 10}, 0x7F, 0xFFFE, 0xFFFF])
_SECTION_CHARACTERS = 200
_PATH_SEPARATOR = " > "
# Blanks without width, that str.strip leaves alone.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad \n\t\u00a0"


def clean(text: str, kind: ElementKind) -> str:
    """Return text that every store can hold: no NUL, no half surrogate pairs, no blanks around it."""
    text = text.translate(_UNWANTED).encode("utf-8", "replace").decode("utf-8")
    return text.strip("\n").rstrip() if kind is ElementKind.CODE else text.strip()


def from_unstructured(parsed: Iterable[Parsed], *, page: int | None = None) -> Iterator[Element]:
    """Map what unstructured found; `page` overrides the page numbers it gives."""
    for element in parsed:
        if element.category in _DROPPED:
            continue
        number = page if page is not None else element.metadata.page_number
        if element.category == "Table" and element.metadata.text_as_html:
            yield from table_elements(_rows(element.metadata.text_as_html), page=number)
            continue
        kind = _KINDS.get(element.category, ElementKind.TEXT)
        level = element.metadata.category_depth if kind is ElementKind.TITLE else None
        yield Element(kind=kind, text=element.text, page=number, level=level)


def _rows(table_html: str) -> list[list[str]]:
    parser = html.HTMLParser(no_network=True, huge_tree=True)
    root = html.fragment_fromstring(table_html, create_parent=True, parser=parser)
    return [[str(cell.text_content()) for cell in row.iterchildren("td", "th")] for row in root.iter("tr")]


def finished(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Clean the texts, drop what is blank, note the section. Raises EmptyDocument or DocumentTooLarge."""
    kept: list[Element] = []
    titles: list[tuple[int, str]] = []
    characters = 0
    for element in elements:
        text = clean(element.text, element.kind)
        if not text.strip(_INVISIBLE):
            continue
        characters += len(text)
        if len(kept) >= MAX_ELEMENTS or characters > MAX_TEXT_CHARACTERS:
            raise DocumentTooLarge(
                "The document has more text than one document may have. Split it and post the parts."
            )
        if element.kind is ElementKind.TITLE:
            level = element.level or 0
            titles = [*(above for above in titles if above[0] < level), (level, text)]
        kept.append(replace(element, text=text, section=element.section or _path(titles), level=None))
    if not kept:
        raise EmptyDocument("No text was found in the file. Post a file that has text in it.")
    return tuple(kept)


def _path(titles: Sequence[tuple[int, str]]) -> str | None:
    """Return the titles from the outermost to the nearest; what is too long loses the outermost first."""
    path = ""
    for _, title in reversed(titles):
        longer = f"{title}{_PATH_SEPARATOR}{path}" if path else title[:_SECTION_CHARACTERS]
        if len(longer) > _SECTION_CHARACTERS:
            break
        path = longer
    return path or None
