"""Marked-up text: html and markdown."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from lxml import etree, html

from pipelines.document import Element, ElementKind, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES
from pipelines.parsing.markdown_pieces import pieces
from pipelines.parsing.plain import decode, prose

# A table that holds these arranges a page; it does not tabulate anything.
_NOT_IN_TABLES = "table", "h1", "h2", "h3", "h4", "h5", "h6"
_TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "tr", "td", "th", "caption"})
_APART = "br", "p", "div", "li", "dt", "dd", "td", "th"


def read_html(file: SourceFile) -> Iterator[Element]:
    yield from html_elements(decode(file.content))


def read_markdown(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.md import partition_md

    for is_markdown, piece in pieces(decode(file.content)):
        if is_markdown:
            yield from from_unstructured(partition_md(text=piece, languages=LANGUAGES))
        else:
            yield from prose(piece)


def html_elements(text: str) -> Iterator[Element]:
    """Yield what is on a page, its layout tables taken apart first."""
    from unstructured.partition.html import partition_html

    tree = _tree(text)
    if tree is None:
        return
    for table in list(tree.iter("table")):
        if _is_layout(table):
            _take_apart(table)
    _keep_words_apart(tree)
    try:
        parsed = partition_html(text=html.tostring(tree, encoding="unicode"), languages=LANGUAGES, image_alt_mode=None)
    except RecursionError:  # nested by a machine, and deeper than anybody has structured anything
        parsed = []
    yield from from_unstructured(parsed) if parsed else _bare_text(text)


def _tree(text: str) -> Any:
    parser = html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=True, remove_comments=True, remove_pis=True)
    tree = etree.fromstring(text.encode("utf-8", "replace"), parser)
    if tree is not None:
        etree.strip_elements(tree, "script", "style", "template", "noscript", with_tail=False)
    return tree


def _is_layout(table: Any) -> bool:
    if table.get("role") in ("presentation", "none"):
        return True
    if next(table.iterdescendants(*_NOT_IN_TABLES), None) is not None:
        return True
    widths = [len(row.findall("td")) + len(row.findall("th")) for row in table.iter("tr")]
    return max(widths, default=0) <= 1


def _take_apart(table: Any) -> None:
    for element in list(table.iterdescendants(*_TABLE_PARTS)):
        if next(element.iterancestors("table"), None) is table:
            element.tag = "div"
    table.tag = "div"


def _keep_words_apart(tree: Any) -> None:
    """Put a blank where markup alone parts two words: it is gone when the text is taken out."""
    for element in tree.iter(*_APART):
        element.tail = f" {element.tail or ''}"


class _BareText(HTMLParser):
    """Collects text without a tree, which has no depth to run out of."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # not in a script or a style
            self.words += data.split()


def _bare_text(text: str) -> Iterator[Element]:
    parser = _BareText()
    parser.feed(text)
    yield Element(kind=ElementKind.TEXT, text=" ".join(parser.words))
