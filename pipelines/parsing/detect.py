"""What a file is, by its content; the name only breaks ties between kinds of text."""

from enum import StrEnum
from pathlib import PurePosixPath

from core.errors import DocumentEncrypted, EmptyDocument, UnsupportedFormat
from pipelines.document import SourceFile
from pipelines.parsing.limits import archive_members


class FileFormat(StrEnum):
    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    CSV = "csv"
    HTML = "html"
    MD = "md"
    TXT = "txt"
    EML = "eml"


READABLE = "pdf, docx, pptx, xlsx, csv, html, md, txt and eml"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE = {"word/": FileFormat.DOCX, "ppt/": FileFormat.PPTX, "xl/": FileFormat.XLSX}
_BINARIES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x1f\x8b": "a gzip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"{\\rtf": "an RTF document",
}
_TEXT_BY_SUFFIX = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".html": FileFormat.HTML,
    ".htm": FileFormat.HTML,
    ".md": FileFormat.MD,
    ".markdown": FileFormat.MD,
    ".eml": FileFormat.EML,
}
_HEAD = 4096
_MAIL_HEADERS = (b"from:", b"to:", b"subject:", b"date:", b"received:", b"mime-version:", b"message-id:")
_MARKUP = (b"<!doctype html", b"<html")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A PDF reader looks for the signature in the first kilobyte: some writers put rubbish before it.
_PDF_WITHIN = 1024


def detect(file: SourceFile) -> FileFormat:
    """Return the format of `file`. Raises an IngestFailed for what nobody here reads."""
    content = file.content
    if not content.strip(b" \t\r\n\0"):
        raise EmptyDocument("The file is empty. Post a file that has text in it.")
    if b"%PDF-" in content[:_PDF_WITHIN]:
        return FileFormat.PDF
    if content.startswith(_OLE):
        raise _ole(content)
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    for signature, name in _BINARIES.items():
        if content.startswith(signature):
            raise UnsupportedFormat(f"The file is {name}, whatever its name says. Formats read here: {READABLE}.")
    return _text(file)


def _ole(content: bytes) -> UnsupportedFormat | DocumentEncrypted:
    # Names in an OLE folder are UTF-16; an encrypted office file is such a folder around the real one.
    if "EncryptedPackage".encode("utf-16-le") in content:
        return DocumentEncrypted("The file is protected by a password. Remove the protection and post it again.")
    return UnsupportedFormat(
        "The file is of an office format from before 2007. Save it as docx, pptx or xlsx and post it again."
    )


def _office(content: bytes) -> FileFormat:
    members = archive_members(content)
    for folder, found in _OFFICE.items():
        if "[Content_Types].xml" in members and any(name.startswith(folder) for name in members):
            return found
    raise UnsupportedFormat(f"The file is a ZIP archive that holds no office document. Formats read here: {READABLE}.")


def _text(file: SourceFile) -> FileFormat:
    head = file.content[:_HEAD]
    if b"\0" in head and not head.startswith(_UTF_16):
        raise UnsupportedFormat(f"The file is neither text nor a known document. Formats read here: {READABLE}.")
    begins = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begins.startswith(_MARKUP):
        return FileFormat.HTML
    by_name = _TEXT_BY_SUFFIX.get(PurePosixPath(file.name.lower()).suffix)
    if by_name is not None:
        return by_name
    headers = [line.split(b" ")[0].split(b"\t")[0] for line in begins.split(b"\n\n")[0].splitlines()]
    if headers and headers[0].endswith(b":") and sum(header in _MAIL_HEADERS for header in headers) >= 3:
        return FileFormat.EML
    return FileFormat.TXT
