"""What is in a document survives the jail and the chunkers: the cells of its tables, the pages of its passages."""

import csv
import io
import re
from collections.abc import AsyncIterator, Callable

import docx
import openpyxl
import pptx
import pytest
import pytest_asyncio

from pipelines.chunking.base import Chunker
from pipelines.chunking.fixed import FixedChunker
from pipelines.chunking.recursive import RecursiveChunker
from pipelines.chunking.structure import StructureChunker
from pipelines.document import ChunkingConfig, Element, ElementKind, SourceFile
from pipelines.embedding.hashed import HashEmbedder
from pipelines.parsing.jail import JailedParser
from tests.factories.torture.pdfs import pdf_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADING = ["Tag", "Instrument", "Room", "Bought"]
ROWS = [
    HEADING,
    *([f"LO-{n}", f"Spectrograph {n} of the dome", "" if n % 5 else f"Room {n}", f"{1900 + n}"] for n in range(60)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    parser = JailedParser(timeout_seconds=20, memory_bytes=600_000_000)
    await parser.warm()
    yield parser
    await parser.close()


def in_docx() -> bytes:
    document = docx.Document()
    table = document.add_table(rows=len(ROWS), cols=len(HEADING))
    for cells, row in zip(ROWS, table.rows, strict=True):
        for text, cell in zip(cells, row.cells, strict=True):
            cell.text = text
    return saved(document)


def in_pptx() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = slide.shapes.add_table(len(ROWS), len(HEADING), 0, 0, 9_000_000, 5_000_000).table
    for at, cells in enumerate(ROWS):
        for column, text in enumerate(cells):
            table.cell(at, column).text = text
    return saved(presentation)


def in_xlsx() -> bytes:
    book = openpyxl.Workbook()
    for cells in ROWS:
        book.active.append([text or None for text in cells])
    return saved(book)


def saved(document: object) -> bytes:
    target = io.BytesIO()
    document.save(target)  # type: ignore[attr-defined]
    return target.getvalue()


def in_csv() -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=";").writerows(ROWS)
    return target.getvalue().encode()


def in_html() -> bytes:
    rows = "".join("<tr>" + "".join(f"<td>{text}</td>" for text in cells) + "</tr>" for cells in ROWS)
    return f"<html><body><table>{rows}</table></body></html>".encode()


def in_markdown() -> bytes:
    lines = ["| " + " | ".join(cells) + " |" for cells in ROWS]
    return "\n".join([lines[0], "|---" * len(HEADING) + "|", *lines[1:]]).encode()


TABLES: dict[str, Callable[[], bytes]] = {
    "a.docx": in_docx,
    "a.pptx": in_pptx,
    "a.xlsx": in_xlsx,
    "a.csv": in_csv,
    "a.html": in_html,
    "a.md": in_markdown,
}


async def parsed(jail: JailedParser, name: str, content: bytes) -> tuple[Element, ...]:
    [outcome] = await jail.parse([SourceFile(name=name, content=content)])
    assert outcome.failure is None, outcome.failure
    return outcome.elements


@pytest.mark.parametrize("name", TABLES)
async def test_every_cell_is_in_its_row(jail: JailedParser, name: str) -> None:
    """Sixty rows arrive in order and once, empty cells in their place, each part under the heading."""
    elements = await parsed(jail, name, TABLES[name]())
    assert {element.kind for element in elements} == {ElementKind.TABLE}
    heading, *rows = [" | ".join(cells) for cells in ROWS]
    parts = [element.text.split("\n") for element in elements]
    assert len(parts) > 1
    assert [part[0] for part in parts] == [heading] * len(parts)
    assert [line for part in parts for line in part[1:]] == rows


@pytest.mark.parametrize("chunker", [FixedChunker, RecursiveChunker, StructureChunker])
async def test_every_passage_of_a_pdf_has_its_page(
    jail: JailedParser, chunker: Callable[[HashEmbedder], Chunker]
) -> None:
    """Twelve pages are cut small, and each passage is of the page on which its first sentence ends."""
    pages = [
        [f"The sundial number {line} stands in the garden at mark {page}-{line}." for line in range(30)]
        for page in range(1, 13)
    ]
    elements = await parsed(jail, "a.pdf", pdf_of(pages))
    assert {element.page for element in elements} == set(range(1, 13))
    passages = chunker(HashEmbedder()).split(elements, ChunkingConfig(chunk_tokens=60, overlap_tokens=20))
    assert len(passages) > 24
    for passage in passages:
        first = re.search(r"mark (\d+)-", passage.text)
        assert first is not None
        assert passage.page == int(first[1])
    assert {passage.page for passage in passages} == set(range(1, 13))
