"""Formats that look like another one, and are told apart or sent back with advice."""

import io
import zipfile

import pytest

from core.errors import UnsupportedFormat
from pipelines.document import SourceFile
from pipelines.parsing.detect import FileFormat, detect

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def named(content: bytes, name: str) -> FileFormat:
    return detect(SourceFile(name=name, content=content))


def ole(entry: str) -> bytes:
    return OLE + entry.encode("utf-16-le")


def archive(mimetype: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr("mimetype", mimetype)
        made.writestr("content.xml", "<x/>")
    return target.getvalue()


@pytest.mark.parametrize(
    ("entry", "expected"), [("__properties_version1.0", FileFormat.MSG), ("Workbook", FileFormat.XLS)]
)
def test_folders_of_old_are_told_apart(entry: str, expected: FileFormat) -> None:
    """An OLE folder is what its entries are."""
    assert named(ole(entry), "file") is expected


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (ole("WordDocument"), "Save it as docx"),
        (archive("application/epub+zip"), "Convert it to html"),
        (archive("application/vnd.oasis.opendocument.text"), "Save it as docx"),
    ],
)
def test_unsupported_document_comes_with_advice(content: bytes, advice: str) -> None:
    """Whoever posted it learns what to post instead."""
    with pytest.raises(UnsupportedFormat, match=advice):
        named(content, "file.docx")


@pytest.mark.parametrize("name", ["run.py", "data.json", "Dockerfile", "deploy.YAML"])
def test_code_is_told_by_name(name: str) -> None:
    """Code is a kind of text."""
    assert named(b"a = 1\n", name) is FileFormat.CODE


def test_text_about_pdf_is_text() -> None:
    """The signature of a format in a sentence does not make the sentence that format."""
    assert named(b"The signature %PDF-1.4 begins every PDF.", "notes.txt") is FileFormat.TXT


def test_markdown_that_begins_with_html_is_markdown() -> None:
    """Many a readme begins with a centred picture; a page begins with its own tag."""
    head = b'<p align="center"><img src="x.png"></p>\n\n# Title\n'
    assert named(head, "README.md") is FileFormat.MD
    assert named(head, "upload") is FileFormat.HTML


def test_few_stray_nul_bytes_do_not_make_a_program() -> None:
    """Text with a fault is text; the fault is taken out later."""
    assert named(b"The dome has been shut\0 since the wind came up at noon.", "log") is FileFormat.TXT
