"""Damaged, disguised and malicious files through the real jail: a typed failure or clean text, never anything else."""

import io
import struct
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from pypdf import PdfReader, PdfWriter

from core.errors import (
    DocumentEncrypted,
    DocumentTooLarge,
    DocumentUnreadable,
    EmptyDocument,
    IngestFailed,
    UnsupportedFormat,
)
from pipelines.document import ElementKind, SourceFile, document_text
from pipelines.parsing.base import ParsedFile
from pipelines.parsing.jail import JailedParser

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEMO = Path(__file__).parents[3] / "docs" / "demo"
MEBIBYTE = 1024 * 1024


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jail() -> AsyncIterator[JailedParser]:
    parser = JailedParser(timeout_seconds=20, memory_bytes=600_000_000)
    await parser.warm()
    yield parser
    await parser.close()


def demo(name: str) -> bytes:
    return (DEMO / name).read_bytes()


async def parsed(jail: JailedParser, name: str, content: bytes) -> ParsedFile:
    (outcome,) = await jail.parse([SourceFile(name=name, content=content)])
    return outcome


def encrypted_pdf() -> bytes:
    writer = PdfWriter(clone_from=PdfReader(DEMO / "telescope-safety-manual.pdf"))
    writer.encrypt("larkspur", algorithm="RC4-128")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def encrypted_office() -> bytes:
    """Return the beginning of an OLE file and the folder entry that an encrypted docx has."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + "EncryptedPackage".encode("utf-16-le") + bytes(1024)


def docx_with(part: bytes) -> bytes:
    """Return the visitor policy with `part` as its text."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(DEMO / "visitor-policy.docx") as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for member in source.namelist():
            made.writestr(member, part if member == "word/document.xml" else source.read(member))
    return target.getvalue()


def docx_bomb() -> bytes:
    return docx_with(b"<a>" + b" " * (300 * MEBIBYTE))


def docx_bomb_that_lies() -> bytes:
    """Return a bomb whose folder says that its text is small."""
    content = bytearray(docx_with(b" " * (64 * MEBIBYTE)))
    size = struct.pack("<I", 64 * MEBIBYTE)
    while (at := content.find(size)) != -1:
        content[at : at + 4] = struct.pack("<I", 4096)
    return bytes(content)


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)


REFUSED: dict[str, tuple[str, Callable[[], bytes], type[IngestFailed]]] = {
    "empty": ("night-log.txt", lambda: b"", EmptyDocument),
    "blank": ("night-log.txt", lambda: b" \r\n\t\n" * 100, EmptyDocument),
    "nothing but NUL": ("night-log.txt", lambda: bytes(100), EmptyDocument),
    "no-break spaces": ("night-log.txt", lambda: "\u00a0\u2003\n".encode() * 10, EmptyDocument),
    "NUL in text": ("night-log.txt", lambda: b"20:52 \0\0 clear", UnsupportedFormat),
    "html without text": ("faq.html", lambda: b"<html><body><script>1</script></body></html>", EmptyDocument),
    "head of a pdf": ("manual.pdf", lambda: demo("telescope-safety-manual.pdf")[:300], DocumentUnreadable),
    "signature of a pdf": ("manual.pdf", lambda: b"%PDF-1.7\n", DocumentUnreadable),
    "half a docx": ("policy.docx", lambda: demo("visitor-policy.docx")[:15_000], DocumentUnreadable),
    "docx without its text": ("policy.docx", lambda: docx_with(b""), DocumentUnreadable),
    "docx of broken XML": ("policy.docx", lambda: docx_with(b"<w:document"), DocumentUnreadable),
    "encrypted pdf": ("manual.pdf", encrypted_pdf, DocumentEncrypted),
    "encrypted docx": ("policy.docx", encrypted_office, DocumentEncrypted),
    "word 97": ("policy.doc", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048), UnsupportedFormat),
    "docx bomb": ("policy.docx", docx_bomb, DocumentTooLarge),
    "docx bomb that lies": ("policy.docx", docx_bomb_that_lies, DocumentUnreadable),
    "picture named docx": ("policy.docx", png, UnsupportedFormat),
    "program named txt": ("night-log.txt", lambda: b"\x7fELF" + bytes(range(256)), UnsupportedFormat),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_with_its_reason(jail: JailedParser, case: str) -> None:
    """The failure is of the right kind, says what a person can do, and nothing of our insides."""
    name, content, expected = REFUSED[case]
    outcome = await parsed(jail, name, content())
    assert type(outcome.failure) is expected, outcome
    assert outcome.elements == ()
    assert "Traceback" not in outcome.failure.message
    assert outcome.failure.message.endswith(".")


@pytest.mark.parametrize(
    ("name", "demo_name"),
    [
        ("manual.txt", "telescope-safety-manual.pdf"),
        ("policy.pdf", "visitor-policy.docx"),
        ("inventory.docx", "instrument-inventory.xlsx"),
        ("review.xlsx", "quarterly-review.pptx"),
        ("questions.md", "faq.html"),
        ("without-a-suffix", "visitor-policy.docx"),
    ],
)
async def test_name_does_not_decide(jail: JailedParser, name: str, demo_name: str) -> None:
    """A file with another format's suffix is read as what it is."""
    disguised, honest = await jail.parse(
        [SourceFile(name=name, content=demo(demo_name)), SourceFile(name=demo_name, content=demo(demo_name))]
    )
    assert honest.elements
    assert disguised == honest


async def test_text_named_pdf_is_text(jail: JailedParser) -> None:
    """A name cannot make a PDF of a text either."""
    outcome = await parsed(jail, "night-log.pdf", demo("night-log.txt"))
    assert "moth sat down on the guide camera" in document_text(outcome.elements)


async def test_mail_without_its_suffix_is_mail(jail: JailedParser) -> None:
    """Headers tell a mail; its subject is its title."""
    outcome = await parsed(jail, "request", demo("maintenance-request.eml"))
    assert outcome.elements[0].kind is ElementKind.TITLE
    assert outcome.elements[0].text == "Maintenance request: coolant pump of the Bramble spectrograph"


async def test_half_a_pdf_is_half_or_refused(jail: JailedParser) -> None:
    """What a repair of a truncated PDF finds is the PDF's own text; otherwise the file is refused."""
    whole = await parsed(jail, "manual.pdf", demo("telescope-safety-manual.pdf"))
    content = demo("telescope-safety-manual.pdf")
    half = await parsed(jail, "manual.pdf", content[: len(content) // 2])
    if half.failure is not None:
        assert type(half.failure) in (DocumentUnreadable, EmptyDocument)
    assert {element.text for element in half.elements} <= {element.text for element in whole.elements}


async def test_entities_of_a_docx_are_not_expanded(jail: JailedParser) -> None:
    """Ten entities of ten entities of ten … cost nothing, and none of their text arrives."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    laughs = (
        f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY e0 "laugh">{entities}]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>'
        "<w:t>&e9;</w:t></w:r></w:p></w:body></w:document>"
    )
    outcome = await parsed(jail, "policy.docx", docx_with(laughs.encode()))
    assert type(outcome.failure) in (DocumentUnreadable, EmptyDocument)


async def test_external_entity_of_a_docx_is_not_read(jail: JailedParser) -> None:
    """A document cannot make the parser read another file into it."""
    thief = (
        '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>'
        "<w:t>before &x; after</w:t></w:r></w:p></w:body></w:document>"
    )
    outcome = await parsed(jail, "policy.docx", docx_with(thief.encode()))
    assert "root:" not in document_text(outcome.elements)


async def test_deeply_nested_html_is_read_or_refused(jail: JailedParser) -> None:
    """A hundred thousand open tags end in an answer, and the next file is read."""
    deep = b"<html><body>" + b"<div>" * 100_000 + b"<p>The sundial stands at the bottom.</p>"
    first, second = await jail.parse(
        [SourceFile(name="deep.html", content=deep), SourceFile(name="faq.html", content=demo("faq.html"))]
    )
    assert first.elements or type(first.failure) in (DocumentUnreadable, EmptyDocument, DocumentTooLarge)
    assert second.elements


async def test_late_nul_and_half_surrogates_are_cleaned(jail: JailedParser) -> None:
    """Text that no database takes does not come out, wherever in the file it stood."""
    content = b"The sky is clear tonight. " * 400 + b"\0 The dome is\0 shut. \xed\xa0\x80 End."
    outcome = await parsed(jail, "night-log.txt", content)
    text = document_text(outcome.elements)
    assert "The dome is shut." in text
    assert "\0" not in text
    assert text.encode("utf-8")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
async def test_encodings(jail: JailedParser, encoding: str) -> None:
    """Text is read by its byte order mark, or by the likeliest encoding."""
    text = "The café below the observatory serves crème brûlée to every tired astronomer who has been up all night."
    outcome = await parsed(jail, "menu.txt", (text + "\n").encode(encoding))
    assert document_text(outcome.elements) == text
