"""Read one file: detect, parse, clean. Runs inside the jailed child, or in process for tests."""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("UNSTRUCTURED_DISABLE_NOTICE", "1")

from collections.abc import Callable, Iterator

from core.errors import DocumentUnreadable, EmptyDocument, IngestFailed
from pipelines.document import Element, SourceFile
from pipelines.parsing import language_model, samples
from pipelines.parsing.confinement import Confined
from pipelines.parsing.detect import FileFormat, detect
from pipelines.parsing.elements import finished
from pipelines.parsing.mail import read_mail, read_msg
from pipelines.parsing.markup import read_html, read_markdown
from pipelines.parsing.office import read_docx, read_pptx
from pipelines.parsing.pdf import read_pdf
from pipelines.parsing.plain import read_code, read_text
from pipelines.parsing.sheets import read_csv, read_xls, read_xlsx
from pipelines.parsing.web_page import read_web_page

PARSERS: dict[FileFormat, Callable[[SourceFile], Iterator[Element]]] = {
    FileFormat.PDF: read_pdf,
    FileFormat.DOCX: read_docx,
    FileFormat.PPTX: read_pptx,
    FileFormat.XLSX: read_xlsx,
    FileFormat.XLS: read_xls,
    FileFormat.CSV: read_csv,
    FileFormat.HTML: read_html,
    FileFormat.MD: read_markdown,
    FileFormat.TXT: read_text,
    FileFormat.CODE: read_code,
    FileFormat.EML: read_mail,
    FileFormat.MSG: read_msg,
}

_OF_PICTURES = "If its pages are pictures, recognise their text first and post the result."
_OF_FORMULAS = "Formulas count by their results: save the workbook in its program and post it again."
_FILL_IN = "Post a file that has text in it."
_WHY_NOTHING = {
    **dict.fromkeys((FileFormat.PDF, FileFormat.DOCX, FileFormat.PPTX), _OF_PICTURES),
    **dict.fromkeys((FileFormat.XLSX, FileFormat.XLS), _OF_FORMULAS),
}

language_model.install()


def read(file: SourceFile) -> tuple[Element, ...]:
    """Return the elements of `file`. Raises an IngestFailed that says what a person can do; MemoryError passes."""
    found = detect(file)
    try:
        return finished(_parser(file, found)(file))
    except EmptyDocument as failure:
        advice = _WHY_NOTHING.get(found, _FILL_IN)
        raise EmptyDocument(f"No text was found in the file, which was read as {found.value}. {advice}") from failure
    except (IngestFailed, MemoryError, Confined):
        raise
    except RecursionError as error:
        raise DocumentUnreadable(
            f"The file, read as {found.value}, is nested more deeply than is read here. Simplify it and post it again."
        ) from error
    except Exception as error:  # parsers raise anything at all on damaged input
        if _is_for_want_of_memory(error):
            raise MemoryError from error
        raise DocumentUnreadable(
            f"The file looks like {found.value} and cannot be read as such; it may be damaged. "
            "Save it again in its program and post it anew."
        ) from error


def _parser(file: SourceFile, found: FileFormat) -> Callable[[SourceFile], Iterator[Element]]:
    return read_web_page if file.is_web_page and found is FileFormat.HTML else PARSERS[found]


def _is_for_want_of_memory(error: BaseException | None) -> bool:
    """Return whether a library hides a MemoryError behind an error of its own; libxml2 has words of its own for it."""
    while error is not None:
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return False


def warm() -> None:
    """Import and run what the first file of each format would otherwise wait for."""
    for name, content in samples.every_format():
        finished(PARSERS[FileFormat(name)](SourceFile(name=name, content=content)))
    finished(read_web_page(SourceFile(name="page", content=samples.web_page())))
