"""A refusal says what was found and what helps."""

import io

import openpyxl
import pytest

from core.errors import DocumentUnreadable, EmptyDocument
from pipelines.document import SourceFile
from pipelines.parsing import samples
from pipelines.parsing.read import PARSERS, read


def formula() -> bytes:
    book, target = openpyxl.Workbook(), io.BytesIO()
    book.active["A1"] = "=1+1"
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.xlsx", formula(), "read as xlsx. Formulas count by their results"),
        ("a.pdf", dict(samples.every_format())["pdf"].replace(b"Tj", b"  "), "read as pdf. If its pages are pictures"),
        ("a.html", b"<html><body></body></html>", "read as html. Post a file that has text in it."),
    ],
)
def test_advice_fits_the_format(name: str, content: bytes, advice: str) -> None:
    """Nobody is told to recognise the text of a spreadsheet."""
    with pytest.raises(EmptyDocument, match=advice):
        read(SourceFile(name=name, content=content))


def test_depth_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is nested too deeply is not called damaged."""

    def deep(_: SourceFile) -> object:
        raise RecursionError

    monkeypatch.setitem(PARSERS, next(iter(key for key in PARSERS if key.value == "txt")), deep)
    with pytest.raises(DocumentUnreadable, match="nested more deeply than is read here"):
        read(SourceFile(name="a.txt", content=b"The sundial."))
