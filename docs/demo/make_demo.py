"""Make the office files of this folder: `python docs/demo/make_demo.py [FOLDER]`. The same bytes every time.

What they say is in content/; the text files of this folder are written by hand.
"""

import io
import re
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from content import instrument_inventory, quarterly_review, safety_manual, visitor_policy
from docx import Document
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer

_HERE = Path(__file__).parent
_MADE = datetime(2024, 3, 1, 12, tzinfo=UTC)
_DATES = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _HERE
    (folder / "telescope-safety-manual.pdf").write_bytes(manual())
    (folder / "visitor-policy.docx").write_bytes(_dated(policy()))
    (folder / "quarterly-review.pptx").write_bytes(_dated(review()))
    (folder / "instrument-inventory.xlsx").write_bytes(_dated(inventory()))


def manual() -> bytes:
    """Return the safety manual as PDF."""
    styles = getSampleStyleSheet()
    body = styles["BodyText"].clone("manual", fontSize=11, leading=15, spaceAfter=8)
    story = [Paragraph(safety_manual.TITLE, styles["Title"]), Spacer(1, 12)]
    for number, sections in enumerate(safety_manual.PAGES):
        if number:
            story.append(PageBreak())
        for heading, paragraphs in sections:
            story.append(Paragraph(heading, styles["Heading2"]))
            story.extend(Paragraph(paragraph, body) for paragraph in paragraphs)
    target = io.BytesIO()
    template = SimpleDocTemplate(
        target, pagesize=A4, title=safety_manual.TITLE, author="Larkspur Observatory", invariant=1
    )
    template.build(story)
    return target.getvalue()


def policy() -> bytes:
    """Return the visitor policy as docx."""
    document = Document()
    document.add_heading(visitor_policy.TITLE, level=0)
    for heading, paragraphs, bullets in visitor_policy.SECTIONS:
        document.add_heading(heading, level=1)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
        for bullet in bullets:
            document.add_paragraph(bullet, style="List Bullet")
    document.add_heading("Fees", level=1)
    table = document.add_table(rows=0, cols=len(visitor_policy.FEES[0]))
    for row in visitor_policy.FEES:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    return _saved(document)


def review() -> bytes:
    """Return the quarterly review as pptx."""
    presentation = Presentation()
    for title, bullets in quarterly_review.SLIDES:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        frame = slide.placeholders[1].text_frame
        frame.text = bullets[0]
        for bullet in bullets[1:]:
            frame.add_paragraph().text = bullet
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Budget in euros"
    rows = quarterly_review.BUDGET
    table = slide.shapes.add_table(len(rows), len(rows[0]), Inches(1), Inches(2), Inches(8), Inches(2)).table
    for row_number, row in enumerate(rows):
        for column_number, text in enumerate(row):
            table.cell(row_number, column_number).text = text
    return _saved(presentation)


def inventory() -> bytes:
    """Return the instrument inventory as xlsx."""
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in instrument_inventory.SHEETS.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return _saved(workbook)


def _saved(document) -> bytes:
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def _dated(office: bytes) -> bytes:
    """Return the archive with one date everywhere: the libraries write today's."""
    target = io.BytesIO()
    made = _MADE.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(io.BytesIO(office)) as source, zipfile.ZipFile(target, "w") as result:
        for member in source.infolist():
            if member.filename == "docProps/thumbnail.jpeg":  # 1 KB to 20 KB of somebody's empty page
                continue
            part = source.read(member)
            if member.filename == "docProps/core.xml":
                part = _DATES.sub(rb"\g<1>" + made, part)
            if member.filename == "_rels/.rels":
                part = re.sub(rb"<Relationship [^>]*thumbnail\.jpeg[^>]*/>", b"", part)
            entry = zipfile.ZipInfo(member.filename, _MADE.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            result.writestr(entry, part)
    return target.getvalue()


if __name__ == "__main__":
    main()
