"""What a file is, by its content; the name only breaks ties between kinds of text."""

import re
from enum import StrEnum
from pathlib import PurePosixPath

from core.errors import DocumentEncrypted, EmptyDocument, IngestFailed, UnsupportedFormat
from pipelines.document import SourceFile
from pipelines.parsing.limits import archive_members


class FileFormat(StrEnum):
    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    XLS = "xls"
    CSV = "csv"
    HTML = "html"
    MD = "md"
    TXT = "txt"
    CODE = "code"
    EML = "eml"
    MSG = "msg"


READABLE = "pdf, docx, pptx, xlsx, xls, csv, html, md, txt, eml, msg and source code"

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE = {"word/": FileFormat.DOCX, "ppt/": FileFormat.PPTX, "xl/": FileFormat.XLSX}
_BINARIES = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"RIFF": "a sound, a film or a picture",
    b"ID3": "a sound",
    b"OggS": "a sound or a film",
    b"\0\0\0\x18ftyp": "a film",
    b"\0\0\0\x20ftyp": "a film",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
    b"MZ\x90": "a program",
    b"SQLite format 3\0": "a database",
    b"%!PS": "a PostScript document",
    b"{\\rtf": "an RTF document",
}
_TEXT_BY_SUFFIX = {
    FileFormat.CSV: "csv tsv",
    FileFormat.HTML: "html htm xhtml",
    FileFormat.MD: "md markdown",
    FileFormat.EML: "eml",
    FileFormat.CODE: "py js ts tsx jsx java kt scala c h cc cpp hpp cs go rs rb php swift lua pl r jl sh bash ps1 sql "
    "json jsonl ndjson yaml yml toml ini cfg xml css scss tf proto graphql diff patch dockerfile makefile",
}
_FORMAT_OF_SUFFIX = {suffix: kind for kind, suffixes in _TEXT_BY_SUFFIX.items() for suffix in suffixes.split()}
_HEAD = 4096
_MAIL_HEADERS = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"received", b"return-path", b"delivered-to", b"reply-to"),
    *(b"mime-version", b"message-id", b"content-type", b"dkim-signature", b"x-mailer"),
)
_HEADER_LINE = re.compile(rb"^([a-z][a-z0-9-]*):", re.MULTILINE)
_PAGE = re.compile(rb"(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.DOTALL)
_MARKUP = re.compile(rb"<(?:div|p|table|section|article|main|h[1-6]|ul|ol|title|meta|span)\b[^>]*>")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# A PDF reader looks for the signature in the first kilobyte: some writers put rubbish before it.
_PDF_WITHIN = 1024
# Texts hold tabs, line ends, form feeds and escapes; a share of other control characters makes a binary.
_CONTROL = bytes(set(range(32)) - set(b"\t\n\f\r\x1b")) + b"\x7f"
_CONTROL_SHARE = 0.05


def detect(file: SourceFile) -> FileFormat:
    """Return the format of `file`. Raises an IngestFailed for what nobody here reads."""
    content = file.content
    if not content[:_HEAD].strip(b" \t\r\n\f\0") and not content.strip(b" \t\r\n\f\0"):
        raise EmptyDocument("The file is empty. Post a file that has text in it.")
    if _is_pdf(content):
        return FileFormat.PDF
    if content.startswith(_OLE):
        return _ole(content)
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    for signature, name in _BINARIES.items():
        if content.startswith(signature):
            raise _unsupported(f"The file is {name}, whatever its name says.")
    return _text(file)


def _unsupported(what: str) -> UnsupportedFormat:
    return UnsupportedFormat(f"{what} Formats read here: {READABLE}.")


def _is_pdf(content: bytes) -> bool:
    if content.startswith(b"%PDF-"):
        return True
    # A text about PDF has the signature too; a PDF has objects.
    return b"%PDF-" in content[:_PDF_WITHIN] and b" obj" in content and b"endobj" in content


def _ole(content: bytes) -> FileFormat:
    """Tell apart what comes in an OLE folder, by the names in it, which are UTF-16."""

    def holds(name: str) -> bool:
        return name.encode("utf-16-le") in content

    if holds("EncryptedPackage"):  # an encrypted office file is such a folder around the real one
        raise DocumentEncrypted("The file is protected by a password. Remove the protection and post it again.")
    if holds("__properties_version1.0"):
        return FileFormat.MSG
    if holds("Workbook"):
        return FileFormat.XLS
    if holds("WordDocument") or holds("PowerPoint Document"):
        raise UnsupportedFormat(
            "The file is of an office format from before 2007. Save it as docx or pptx and post it again."
        )
    raise _unsupported("The file is an OLE folder that holds no document known here.")


def _office(content: bytes) -> FileFormat:
    members = archive_members(content)
    if "[Content_Types].xml" in members:
        for folder, found in _OFFICE.items():
            if any(name.startswith(folder) for name in members):
                return found
    raise _other_archive(content[:200])


def _other_archive(head: bytes) -> IngestFailed:
    # The first member of these is their type, stored as it is.
    if b"application/epub+zip" in head:
        return UnsupportedFormat("The file is an EPUB book. Convert it to html, docx or pdf and post that.")
    if b"application/vnd.oasis.opendocument" in head:
        return UnsupportedFormat("The file is an OpenDocument file. Save it as docx, xlsx, pptx or pdf and post that.")
    return _unsupported("The file is a ZIP archive that holds no office document. Unpack it and post what is in it.")


def _text(file: SourceFile) -> FileFormat:
    head = file.content[:_HEAD]
    if _is_binary(head):
        raise _unsupported("The file is neither text nor a known document.")
    begins = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if _PAGE.match(begins):
        return FileFormat.HTML
    path = PurePosixPath(file.name.lower())
    by_name = _FORMAT_OF_SUFFIX.get(path.suffix.lstrip(".") or path.name)
    if by_name is not None:
        return by_name
    if _is_mail(begins):
        return FileFormat.EML
    return FileFormat.HTML if _MARKUP.match(begins) else FileFormat.TXT


def _is_binary(head: bytes) -> bool:
    if head.startswith(_UTF_16):
        return False
    return len(head) - len(head.translate(None, _CONTROL)) > _CONTROL_SHARE * len(head)


def _is_mail(begins: bytes) -> bool:
    """Return whether it begins with a header and goes on with more."""
    block = re.split(rb"\r?\n\r?\n", begins, maxsplit=1)[0]
    names = _HEADER_LINE.findall(block)
    return _HEADER_LINE.match(block) is not None and sum(name in _MAIL_HEADERS for name in names) >= 3
