"""Office files and tables: docx, pptx, xlsx, csv."""

import io
from collections.abc import Iterator

from pipelines.document import Element, SourceFile
from pipelines.parsing.elements import from_unstructured
from pipelines.parsing.language import LANGUAGES
from pipelines.parsing.plain import decode


def read_docx(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.docx import partition_docx

    # A docx has no pages before somebody prints it: the numbers unstructured finds are those of the last print.
    yield from from_unstructured(partition_docx(file=io.BytesIO(file.content), languages=LANGUAGES))


def read_pptx(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.pptx import partition_pptx

    yield from from_unstructured(partition_pptx(file=io.BytesIO(file.content), languages=LANGUAGES))


def read_xlsx(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.xlsx import partition_xlsx

    parsed = partition_xlsx(
        file=io.BytesIO(file.content), languages=LANGUAGES, include_header=False, find_subtable=False
    )
    yield from from_unstructured(parsed)


def read_csv(file: SourceFile) -> Iterator[Element]:
    from unstructured.partition.csv import partition_csv

    content = decode(file.content).encode()
    yield from from_unstructured(partition_csv(file=io.BytesIO(content), languages=LANGUAGES, include_header=False))
