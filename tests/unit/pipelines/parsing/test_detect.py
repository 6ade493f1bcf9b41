"""What a file is, is said by its bytes."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DocumentEncrypted, DocumentUnreadable, EmptyDocument, IngestFailed, UnsupportedFormat
from pipelines.document import SourceFile
from pipelines.parsing.detect import FileFormat, detect

MAIL = b"From: a@larkspur.example\r\nTo: b@larkspur.example\r\nSubject: Dome\r\n\r\nThe dome is shut."


def archive(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return target.getvalue()


def found(content: bytes, name: str = "file") -> FileFormat:
    return detect(SourceFile(name=name, content=content))


def format_or_failure(content: bytes, name: str) -> FileFormat | IngestFailed:
    try:
        return found(content, name)
    except IngestFailed as failure:
        return failure


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"%PDF-1.7\n", FileFormat.PDF),
        (b"rubbish before\n%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", FileFormat.PDF),
        (archive("[Content_Types].xml", "word/document.xml"), FileFormat.DOCX),
        (archive("[Content_Types].xml", "ppt/presentation.xml"), FileFormat.PPTX),
        (archive("[Content_Types].xml", "xl/workbook.xml"), FileFormat.XLSX),
        (b"\xef\xbb\xbf\n <!DOCTYPE HTML><p>x", FileFormat.HTML),
        (b"<HTML><p>x", FileFormat.HTML),
    ],
)
@pytest.mark.parametrize("name", ["file", "file.txt", "file.pdf", "file.csv", "file.eml"])
def test_signature_outranks_name(content: bytes, expected: FileFormat, name: str) -> None:
    """What announces itself is what it says, under any name."""
    assert found(content, name) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("schedule.csv", FileFormat.CSV),
        ("schedule.TSV", FileFormat.CSV),
        ("notes.md", FileFormat.MD),
        ("notes.markdown", FileFormat.MD),
        ("page.htm", FileFormat.HTML),
        ("request.eml", FileFormat.EML),
        ("log.txt", FileFormat.TXT),
        ("manual.pdf", FileFormat.TXT),
        ("no suffix", FileFormat.TXT),
        ("", FileFormat.TXT),
    ],
)
def test_name_decides_between_kinds_of_text(name: str, expected: FileFormat) -> None:
    """Text announces nothing, so its suffix does; a suffix that is no kind of text counts for nothing."""
    assert found(b"Time,Place\n18:30,Gatehouse\n", name) is expected


def test_mail_is_told_by_three_headers() -> None:
    """A text that begins with headers is a mail; a text that mentions one is not."""
    assert found(MAIL) is FileFormat.EML
    assert found(b"Subject: the dome\n\nIt is shut.") is FileFormat.TXT


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", EmptyDocument),
        (b" \r\n\t\0", EmptyDocument),
        (b"text\0text", UnsupportedFormat),
        (b"\x89PNG\r\n\x1a\n", UnsupportedFormat),
        (b"{\\rtf1 text}", UnsupportedFormat),
        (archive("holiday/photo.txt"), UnsupportedFormat),
        (archive("word/document.xml"), UnsupportedFormat),
        (b"PK\x03\x04 and no more", DocumentUnreadable),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), UnsupportedFormat),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
            DocumentEncrypted,
        ),
    ],
)
def test_refused(content: bytes, expected: type[IngestFailed]) -> None:
    """What nobody here reads is refused with the kind of its reason."""
    with pytest.raises(expected):
        found(content, "file.docx")


def test_utf_16_is_text() -> None:
    """The NUL bytes of UTF-16 are not those of a program."""
    assert found("The dome is shut.".encode("utf-16")) is FileFormat.TXT


@given(st.binary(max_size=400), st.text(max_size=20))
def test_any_bytes_have_a_format_or_a_reason(content: bytes, name: str) -> None:
    """Nothing but an IngestFailed ever comes out of rubbish."""
    assert isinstance(format_or_failure(content, name), FileFormat | IngestFailed)


@given(st.binary(max_size=400))
def test_damaged_archives_have_a_reason(tail: bytes) -> None:
    """An archive without its folder is unreadable, whatever stands there instead."""
    whole = archive("[Content_Types].xml", "word/document.xml")
    assert isinstance(format_or_failure(whole[: len(whole) // 2] + tail, "file"), DocumentUnreadable)
