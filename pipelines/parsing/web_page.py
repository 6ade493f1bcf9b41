"""The main content of a web page: what a reader came for, without menus, banners and footers."""

from collections.abc import Iterator

import trafilatura

from pipelines.document import Element, SourceFile
from pipelines.parsing.markup import html_elements
from pipelines.parsing.plain import decode

# Less than this in a page that says more is not its main content: a login form, say, or a list of links. In bytes,
# because what takes Latin scripts a word takes others a character.
_LEAST_BYTES = 200
# An extractor that walks trees takes long for a page of megabytes, which was written by a machine anyway.
_LONGEST_CHARACTERS = 5_000_000
_MOST_TAGS = 30_000


def read_web_page(file: SourceFile) -> Iterator[Element]:
    """Yield the main content's elements, or the whole page's where no main content stands out."""
    text = decode(file.content)
    long = len(text) > _LONGEST_CHARACTERS or text.count("<") > _MOST_TAGS
    main = None if long else _main_content(text)
    found = list(html_elements(main)) if main else []
    if sum(len(element.text.encode("utf-8", "replace")) for element in found) >= _LEAST_BYTES:
        yield from found
    else:
        yield from html_elements(text)


def _main_content(text: str) -> str | None:
    main: str | None = trafilatura.extract(
        text,
        output_format="html",
        include_formatting=True,
        include_links=True,
        include_tables=True,
        include_comments=False,
        favor_recall=True,
        with_metadata=False,
    )
    return main
