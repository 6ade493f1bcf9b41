"""Read one file: detect, parse, clean. Runs inside the jailed child, or in process for tests."""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("UNSTRUCTURED_DISABLE_NOTICE", "1")

from collections.abc import Callable, Iterator

from core.errors import DocumentUnreadable, IngestFailed
from pipelines.document import Element, SourceFile
from pipelines.parsing import language_model
from pipelines.parsing.detect import FileFormat, detect
from pipelines.parsing.elements import finished
from pipelines.parsing.mail import read_mail
from pipelines.parsing.markup import read_html, read_markdown
from pipelines.parsing.office import read_csv, read_docx, read_pptx, read_xlsx
from pipelines.parsing.pdf import read_pdf
from pipelines.parsing.plain import read_text

PARSERS: dict[FileFormat, Callable[[SourceFile], Iterator[Element]]] = {
    FileFormat.PDF: read_pdf,
    FileFormat.DOCX: read_docx,
    FileFormat.PPTX: read_pptx,
    FileFormat.XLSX: read_xlsx,
    FileFormat.CSV: read_csv,
    FileFormat.HTML: read_html,
    FileFormat.MD: read_markdown,
    FileFormat.TXT: read_text,
    FileFormat.EML: read_mail,
}

language_model.install()


def read(file: SourceFile) -> tuple[Element, ...]:
    """Return the elements of `file`. Raises an IngestFailed that says what a person can do; MemoryError passes."""
    found = detect(file)
    try:
        return finished(PARSERS[found](file))
    except (IngestFailed, MemoryError):
        raise
    except (Exception, RecursionError) as error:  # parsers raise anything at all on damaged input
        raise DocumentUnreadable(
            f"The file looks like {found.value} and cannot be read as such; it may be damaged. "
            "Save it again in its program and post it anew."
        ) from error


def warm() -> None:
    """Import and run what the first file would otherwise wait for."""

    for text in ("This is one sentence. This is another.", "<html><body><p>This is one.</p></body></html>"):
        read(SourceFile(name="warm", content=text.encode()))
