"""Spreadsheets and separated values: xlsx, xls, csv. Cells are read here; unstructured says what the prose around is.

unstructured reads tables through pandas, which takes the text "NA" for nothing, a title line for the width of the
table, and a line end inside a cell for a backslash and an n.
"""

import csv
import datetime
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from core.errors import DocumentEncrypted
from pipelines.document import Element, SourceFile
from pipelines.parsing.limits import MAX_TEXT_CHARACTERS
from pipelines.parsing.plain import decode, prose
from pipelines.parsing.tables import table_elements

Row = tuple[str, ...]

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 64 * 1024
# Rows of one cell around a table are its title and its footnotes; more than these are a table of one column.
_MAX_LONE_CELLS = 2
_MAX_AROUND_CHARACTERS = 5_000
_ZERO_TIME = re.compile(r" 00:00:00$")


def read_xlsx(file: SourceFile) -> Iterator[Element]:
    """Yield the sheets in order; a sheet's name is the section of what is on it."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(file.content), read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a file says about its size is not always so
        yield from _sheet(sheet.title, sheet.iter_rows(values_only=True))


def read_xls(file: SourceFile) -> Iterator[Element]:
    """Yield the sheets of a workbook from before 2007 likewise. Raises DocumentEncrypted."""
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=file.content, on_demand=True)
    except xlrd.XLRDError as error:
        if "encrypted" not in str(error).lower():
            raise
        raise DocumentEncrypted(
            "The file is protected by a password. Remove the protection and post it again."
        ) from error
    for sheet in book.sheets():
        rows = ([_xls_value(cell, book.datemode) for cell in sheet.row(number)] for number in range(sheet.nrows))
        yield from _sheet(sheet.name, rows)


def _xls_value(cell: object, datemode: int) -> object:
    import xlrd

    kind, value = cell.ctype, cell.value  # type: ignore[attr-defined]  # xlrd has no types
    if kind == xlrd.XL_CELL_DATE:
        return xlrd.xldate_as_datetime(value, datemode)
    return {xlrd.XL_CELL_ERROR: None, xlrd.XL_CELL_BOOLEAN: bool(value)}.get(kind, value)


def read_csv(file: SourceFile) -> Iterator[Element]:
    """Yield the table, and before it what stands above it as lines of one cell."""
    text = decode(file.content)
    csv.field_size_limit(MAX_TEXT_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    yield from _block([row for cells in reader if any(row := tuple(cells))])


def _delimiter(text: str) -> str:
    """Return the delimiter by which most lines have the same number of cells, more than one."""

    def agreement(delimiter: str) -> int:
        lines = text[:_SAMPLE_CHARACTERS].split("\n")[:100]
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
        return max((count * width for width, count in widths.items()), default=0)

    return max(_DELIMITERS, key=agreement)


def _sheet(name: str, rows: Iterable[Sequence[object]]) -> Iterator[Element]:
    """Yield what is on a sheet: blank rows part its tables."""
    texts = (tuple(_text(value) for value in row) for row in rows)
    for filled, block in groupby(texts, key=any):
        if filled:
            for element in _block(list(block)):
                yield replace(element, section=name)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return format(value, ".15g")
    if isinstance(value, datetime.datetime):
        return _ZERO_TIME.sub("", value.isoformat(sep=" "))
    return str(value)


def _block(rows: list[Row]) -> Iterator[Element]:
    """Yield a table, its title and its footnotes."""
    alone = [sum(map(bool, row)) == 1 for row in rows]
    if all(alone) and len(rows) > _MAX_LONE_CELLS:
        yield from table_elements([_filled(row) for row in rows])
        return
    first = alone.index(False) if False in alone else len(rows)
    last = len(rows) - alone[::-1].index(False) if False in alone else len(rows)
    yield from _around(rows[:first])
    yield from table_elements(_without_empty_columns(rows[first:last]))
    yield from _around(rows[last:])


def _around(rows: list[Row]) -> Iterator[Element]:
    cells = [cell for row in rows for cell in _filled(row)]
    if sum(map(len, cells)) > _MAX_AROUND_CHARACTERS:  # such as all that follows a quote that is never closed
        yield from table_elements([(cell,) for cell in cells])
    else:
        yield from prose("\n\n".join(cells))


def _filled(row: Row) -> Row:
    return tuple(cell for cell in row if cell)


def _without_empty_columns(rows: list[Row]) -> list[Row]:
    used = sorted({column for row in rows for column, cell in enumerate(row) if cell})
    return [tuple(row[column] for column in used if column < len(row)) for row in rows]
