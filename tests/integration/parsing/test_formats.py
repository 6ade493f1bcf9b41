"""One document of every format through the real jail: its words, its pages, its cells."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pipelines.document import Element, ElementKind, SourceFile, document_text
from pipelines.parsing.jail import JailedParser

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEMO = Path(__file__).parents[3] / "docs" / "demo"

# Of each document a sentence or row that must arrive whole, and the page it stands on where there are pages.
KNOWN: dict[str, tuple[str, int | None]] = {
    "telescope-safety-manual.pdf": ("Only the duty observer and the dome engineer may open the dome.", 2),
    "visitor-policy.docx": ("A group has at most fourteen people and is always led by a guide", None),
    "quarterly-review.pptx": ("Smoke from the Brackenridge fires cost eleven nights in August.", 2),
    "instrument-inventory.xlsx": ("LO-102 | Bramble spectrograph | Coude room | BRS-1182 | 2009 | Tomasz Ellery", None),
    "star-party-schedule.csv": ("22:00 | Heron cluster through the eyepiece | Corvane dome | Tomasz Ellery", None),
    "faq.html": ("The telescope pier stands 2,317 metres above sea level.", None),
    "dome-operations.md": ("Listen for the tick of wheel 17, whose bearing was replaced in spring.", None),
    "night-log.txt": ("The autoguider lost its star when a moth sat down on the guide camera.", None),
    "maintenance-request.eml": ("The flow fell from 6.0 to 4.3 litres per minute during the night", None),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents() -> AsyncIterator[dict[str, tuple[Element, ...]]]:
    """Yield the elements of every document, parsed as one batch."""
    parser = JailedParser(timeout_seconds=20, memory_bytes=600_000_000)
    files = [SourceFile(name=name, content=(DEMO / name).read_bytes()) for name in KNOWN]
    outcomes = await parser.parse(files)
    await parser.close()
    assert [outcome.failure for outcome in outcomes] == [None] * len(files)
    yield {file.name: outcome.elements for file, outcome in zip(files, outcomes, strict=True)}


@pytest.mark.parametrize("name", KNOWN)
async def test_known_words_on_their_page(documents: dict[str, tuple[Element, ...]], name: str) -> None:
    """The sentence is in exactly one element, whole, on its page."""
    words, page = KNOWN[name]
    (found,) = [element for element in documents[name] if words in " ".join(element.text.split())]
    assert found.page == page


async def test_pages_of_the_pdf(documents: dict[str, tuple[Element, ...]]) -> None:
    """Every page is there, and pages come in order."""
    pages = [element.page for element in documents["telescope-safety-manual.pdf"]]
    assert pages == sorted(pages)
    assert set(pages) == {1, 2, 3, 4}


async def test_headings_of_the_pdf_are_sections(documents: dict[str, tuple[Element, ...]]) -> None:
    """A heading stands alone, and what follows knows it."""
    manual = documents["telescope-safety-manual.pdf"]
    (limits,) = [element for element in manual if "52 kilometres per hour" in element.text]
    assert limits.section == "Weather limits"
    assert limits.text.startswith("The shutter is closed when")


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("visitor-policy.docx", ["Visitor | Fee | Includes", "Student | 4.00 euros | Guided tour of the Corvane dome"]),
        ("quarterly-review.pptx", ["Item | Planned | Spent", "Liquid nitrogen | 12,500 | 13,900"]),
        ("instrument-inventory.xlsx", ["Tag | Lent to | Until", "LO-104 | Fennimore College | 31 January"]),
        ("star-party-schedule.csv", ["Time | Activity | Place | Host", "18:30 | Welcome and red torch lending"]),
        ("faq.html", ["Telephone | Who answers", "extension 4471 | Fire brigade line"]),
        ("dome-operations.md", ["Part | Shelf | In stock", "Limit switch | R7 | 3"]),
    ],
)
async def test_tables_keep_their_cells(documents: dict[str, tuple[Element, ...]], name: str, rows: list[str]) -> None:
    """Heading and row stand in one table, a line each, cells between bars."""
    tables = [element.text for element in documents[name] if element.kind is ElementKind.TABLE]
    assert any(table.startswith(rows[0] + "\n") and f"\n{rows[1]}" in table for table in tables), tables


async def test_sheets_are_sections(documents: dict[str, tuple[Element, ...]]) -> None:
    """Each sheet is a section of its own, and no page."""
    assert [(table.section, table.page) for table in documents["instrument-inventory.xlsx"]] == [
        ("Instruments", None),
        ("Loans", None),
    ]


async def test_code_and_lists_keep_their_kind(documents: dict[str, tuple[Element, ...]]) -> None:
    """A code block keeps its lines; bullets are list items."""
    operations = documents["dome-operations.md"]
    assert [element.text for element in operations if element.kind is ElementKind.CODE] == [
        "shutter halt\nshutter home --slow\nshutter status"
    ]
    assert len([element for element in operations if element.kind is ElementKind.LIST_ITEM]) == 3


async def test_mail_says_who_wrote_to_whom(documents: dict[str, tuple[Element, ...]]) -> None:
    """Subject first, then the headers a reader would look at."""
    subject, headers, *_ = documents["maintenance-request.eml"]
    assert subject.kind is ElementKind.TITLE
    assert "From: Felix Ardmore <felix.ardmore@larkspur.example>" in headers.text


async def test_no_element_is_blank(documents: dict[str, tuple[Element, ...]]) -> None:
    """Every element has text, and none holds what a database would refuse."""
    for elements in documents.values():
        assert all(element.text.strip() == element.text != "" for element in elements)
        assert "\0" not in document_text(elements)
