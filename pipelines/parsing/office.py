"""Office documents: docx, pptx."""

import io
from collections.abc import Iterator

from pipelines.document import Element, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES


def read_docx(file: SourceFile) -> Iterator[Element]:
    """Yield paragraphs and tables. Pages are those of the last time somebody's program laid them out, or none."""
    from unstructured.partition.docx import partition_docx

    yield from from_unstructured(partition_docx(file=io.BytesIO(file.content), languages=LANGUAGES))


def read_pptx(file: SourceFile) -> Iterator[Element]:
    """Yield what is on the slides and in their notes; a slide is a page."""
    from unstructured.partition.pptx import partition_pptx

    yield from from_unstructured(partition_pptx(file=io.BytesIO(file.content), languages=LANGUAGES))
