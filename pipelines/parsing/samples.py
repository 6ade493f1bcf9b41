"""The smallest document of each format that is slow to read the first time: what the jail warms itself with."""

import io
from collections.abc import Iterator

import docx
import openpyxl
import pptx

_SENTENCES = "This is one sentence. This is another, and they were written for nobody."
_MAIL = f"From: a@example.org\nTo: b@example.org\nSubject: One\nDate: Thu, 1 Jan 2026 10:00:00 +0000\n\n{_SENTENCES}\n"
_PDF_PAGE = b"BT /F1 12 Tf 72 720 Td (This is one sentence.) Tj ET"


def every_format() -> Iterator[tuple[str, bytes]]:
    """Yield the format's name and a document."""
    yield "txt", _SENTENCES.encode()
    yield "md", f"# One\n\n{_SENTENCES}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n".encode()
    yield "html", f"<html><body><h1>One</h1><p>{_SENTENCES}</p><table><tr><td>1<td>2</table></body></html>".encode()
    yield "csv", b"a,b\n1,2\n"
    yield "eml", _MAIL.encode()
    yield "pdf", _pdf()
    yield "docx", _docx()
    yield "pptx", _pptx()
    yield "xlsx", _xlsx()


def web_page() -> bytes:
    """Return a page with something around its main content."""
    paragraph = f"<p>{_SENTENCES * 5}</p>"
    return f"<html><body><nav>Home</nav><article><h1>One</h1>{paragraph}</article></body></html>".encode()


def _pdf() -> bytes:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(_PDF_PAGE), _PDF_PAGE),
    ]
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, content) for number, content in enumerate(objects, start=1))
    return b"%PDF-1.4\n" + body + b"trailer << /Root 1 0 R /Size 5 >>\n%%EOF\n"


def _docx() -> bytes:
    document = docx.Document()
    document.add_heading("One")
    document.add_paragraph(_SENTENCES)
    document.add_table(rows=1, cols=2).cell(0, 0).text = "1"
    return _saved(document)


def _pptx() -> bytes:
    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "One"
    slide.placeholders[1].text = _SENTENCES
    return _saved(presentation)


def _xlsx() -> bytes:
    workbook = openpyxl.Workbook()
    workbook.active.append(["a", "b"])
    workbook.active.append([1, 2])
    return _saved(workbook)


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]  # the three libraries agree on this and share no type
    return buffer.getvalue()
