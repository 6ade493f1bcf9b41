"""Marked-up text: html and markdown."""

from collections.abc import Iterator

from pipelines.document import Element, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES
from pipelines.parsing.plain import decode


def read_html(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.html import partition_html

    text = decode(file.content)
    yield from from_unstructured(partition_html(text=text, languages=LANGUAGES, image_alt_mode=None))


def read_markdown(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.md import partition_md

    yield from from_unstructured(partition_md(text=decode(file.content), languages=LANGUAGES))
